// Package s3test is an in-memory S3 server for tests. It implements the part of
// the protocol that an artifact store uses: conditional writes, multipart
// uploads and paged lists.
//
//	server := s3test.New(t)
//	store, err := artifact.Open(t.Context(), server.Address("models"))
//
// It is ours because gofakes3 (v1.2.0) ignores If-None-Match when a multipart
// upload completes, and a store depends on it to write each key only once.
package s3test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// AccessKey and SecretKey are the credentials that the server accepts. It checks
// only the first; it does not verify signatures.
const (
	AccessKey = "AKIDS3TEST"
	SecretKey = "s3test-secret"
)

// pageSize is the number of objects on a page of a list. It is small, so that
// tests see more than one page.
const pageSize = 3

// Server is a server on which every bucket exists.
type Server struct {
	http *httptest.Server

	mu      sync.Mutex
	objects map[string]object            // by bucket/key
	uploads map[string]map[string][]byte // by upload id, then by part number
	parted  map[string]bool              // upload ids with checksums of their parts
	lastID  int
	counts  map[string]int // by method and bucket/key
	damage  func(key string, body []byte) []byte
}

// Damage has the server store something else than it gets: what f makes of it.
func (s *Server) Damage(f func(key string, body []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = f
}

type object struct {
	checksum  string // SHA-256; empty: the client sent none
	content   []byte
	mediaType string
	modTime   time.Time
}

// New starts a server and stops it at the end of the test.
func New(tb testing.TB) *Server {
	s := &Server{objects: map[string]object{}, uploads: map[string]map[string][]byte{}, parted: map[string]bool{}, counts: map[string]int{}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.http.Close)
	return s
}

// Address returns the address of a bucket for [artifact.Open].
func (s *Server) Address(bucket string) string {
	return "s3://" + bucket + "?region=eu-central-1&use_path_style=true&endpoint=" + url.QueryEscape(s.http.URL)
}

// Environ returns the environment variables for a program that uses the server.
func (s *Server) Environ() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Keys returns the stored objects as bucket/key, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Requests returns how many requests with a method there were for an object, by
// bucket/key.
func (s *Server) Requests(method, key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[method+" "+key]
}

// Content returns the content of an object, by bucket/key.
func (s *Server) Content(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key].content
}

// OpenUploads returns the number of multipart uploads that were neither
// completed nor aborted. The owner of a bucket pays for their parts.
func (s *Server) OpenUploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+AccessKey+"/") {
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
		return
	}
	body, err := content(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	_, key, _ := strings.Cut(name, "/")
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[r.Method+" "+name]++
	switch {
	case key == "" && r.Method == http.MethodGet:
		s.list(w, name, q)
	case q.Has("uploads") && r.Method == http.MethodPost:
		s.lastID++
		id := strconv.Itoa(s.lastID)
		s.uploads[id] = map[string][]byte{}
		s.parted[id] = r.Header.Get("X-Amz-Checksum-Algorithm") == "SHA256"
		respond(w, initiated{UploadID: id})
	case q.Has("uploadId"):
		s.upload(w, r, name, q, body)
	case r.Method == http.MethodPut:
		s.put(w, r, name, body, sentChecksum(r, body))
	case r.Method == http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	default: // get or head
		o, ok := s.objects[name]
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("Content-Type", o.mediaType)
		w.Header().Set("ETag", `"0"`)
		if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && o.checksum != "" {
			w.Header().Set("X-Amz-Checksum-Sha256", o.checksum)
		}
		http.ServeContent(w, r, "", o.modTime, bytes.NewReader(o.content))
	}
}

// put stores an object. If the request has "If-None-Match: *" and the object
// exists, it refuses.
func (s *Server) put(w http.ResponseWriter, r *http.Request, name string, body []byte, checksum string) {
	if _, exists := s.objects[name]; exists && r.Header.Get("If-None-Match") == "*" {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if s.damage != nil {
		body = s.damage(name, body)
	}
	s.objects[name] = object{checksum: checksum, content: body, mediaType: r.Header.Get("Content-Type"), modTime: time.Now()}
	if r.Method == http.MethodPost {
		respond(w, completed{ETag: `"0"`})
		return
	}
	w.Header().Set("ETag", `"0"`)
}

// upload stores a part of a multipart upload, completes it, or aborts it.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, name string, q url.Values, body []byte) {
	id := q.Get("uploadId")
	parts, ok := s.uploads[id]
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch r.Method {
	case http.MethodPut:
		parts[q.Get("partNumber")] = body
		if sum := sentChecksum(r, body); sum != "" {
			w.Header().Set("X-Amz-Checksum-Sha256", sum)
		}
		w.Header().Set("ETag", `"0"`)
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		numbers := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
		})
		var whole, digests []byte
		for _, n := range numbers {
			whole = append(whole, parts[n]...)
			sum := sha256.Sum256(parts[n])
			digests = append(digests, sum[:]...)
		}
		checksum := ""
		if s.parted[id] {
			checksum = fmt.Sprintf("%s-%d", checksumOf(digests), len(numbers))
		}
		s.put(w, r, name, whole, checksum)
		if _, exists := s.objects[name]; exists {
			delete(s.uploads, id)
		}
	}
}

func checksumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sentChecksum is the SHA-256 of a body whose client sends it, in the header or behind
// the body. It is not compared.
func sentChecksum(r *http.Request, body []byte) string {
	if r.Header.Get("X-Amz-Checksum-Sha256") == "" && r.Header.Get("X-Amz-Trailer") != "x-amz-checksum-sha256" {
		return ""
	}
	return checksumOf(body)
}

func (s *Server) list(w http.ResponseWriter, bucket string, q url.Values) {
	page := listed{Name: bucket, MaxKeys: pageSize}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		key, ok := strings.CutPrefix(name, strings.TrimSuffix(bucket, "/")+"/")
		if !ok || !strings.HasPrefix(key, q.Get("prefix")) || key <= q.Get("continuation-token") {
			continue
		}
		if len(page.Contents) == pageSize {
			page.IsTruncated = true
			page.Next = page.Contents[pageSize-1].Key
			break
		}
		o := s.objects[name]
		page.Contents = append(page.Contents, entry{
			Key:          key,
			Size:         len(o.content),
			LastModified: o.modTime.UTC(),
			ETag:         `"0"`,
		})
	}
	respond(w, page)
}

// content reads the body of a request and decodes the aws-chunked encoding,
// which clients use for signed chunks and trailing checksums.
func content(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return body, err
	}
	var whole []byte
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		if !ok {
			return nil, io.ErrUnexpectedEOF
		}
		length, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseInt(length, 16, 32)
		if err != nil || len(rest) < int(n)+2 {
			return nil, io.ErrUnexpectedEOF
		}
		if n == 0 {
			return whole, nil // the trailing checksums follow
		}
		whole = append(whole, rest[:n]...)
		body = rest[n+2:]
	}
}

type (
	initiated struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}
	completed struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		ETag    string
	}
	listed struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		Name        string
		MaxKeys     int
		IsTruncated bool
		Next        string `xml:"NextContinuationToken,omitempty"`
		Contents    []entry
	}
	entry struct {
		Key          string
		Size         int
		LastModified time.Time
		ETag         string
	}
	refusal struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
)

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // our own types can always be encoded
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	respond(w, refusal{Code: code})
}
