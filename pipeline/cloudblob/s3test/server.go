// Package s3test is a server for tests that speaks as much of S3's protocol as
// an artifact store needs: objects with conditional writes, uploads in parts,
// lists by pages. Its objects lie in memory.
package s3test

import (
	"bytes"
	"cmp"
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

// AccessKey and SecretKey are the credentials that the server takes. It looks
// at the first alone.
const (
	AccessKey = "AKIDS3TEST"
	SecretKey = "s3test-secret"
)

// pageSize is how many objects an answer to a list holds; few, so that tests
// see more than one page.
const pageSize = 3

// Server is a server with one bucket for each name that is asked for.
type Server struct {
	http *httptest.Server

	mu      sync.Mutex
	objects map[string]object            // by bucket/key
	uploads map[string]map[string][]byte // by id, then by the part's number
	lastID  int
}

type object struct {
	content   []byte
	mediaType string
	at        time.Time
}

// New starts a server that lives as long as the test.
func New(tb testing.TB) *Server {
	s := &Server{objects: map[string]object{}, uploads: map[string]map[string][]byte{}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.http.Close)
	return s
}

// Address is the address of a bucket for [artifact.Open].
func (s *Server) Address(bucket string) string {
	return "s3://" + bucket + "?region=eu-central-1&use_path_style=true&endpoint=" + url.QueryEscape(s.http.URL)
}

// Environ is what the environment of a program says that uses the server.
func (s *Server) Environ() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_EC2_METADATA_DISABLED=true"}
}

// Keys lists what is stored, as bucket/key.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// OpenUploads is the number of uploads in parts that were neither completed nor
// given up. A bucket's owner pays for their parts.
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
	switch {
	case key == "" && r.Method == http.MethodGet:
		s.list(w, name, q)
	case q.Has("uploads") && r.Method == http.MethodPost:
		s.lastID++
		id := strconv.Itoa(s.lastID)
		s.uploads[id] = map[string][]byte{}
		answer(w, initiated{UploadID: id})
	case q.Has("uploadId"):
		s.upload(w, r, name, q, body)
	case r.Method == http.MethodPut:
		s.put(w, r, name, body)
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
		http.ServeContent(w, r, "", o.at, bytes.NewReader(o.content))
	}
}

// put stores an object, unless the request says that there must be none and
// there is one.
func (s *Server) put(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	if _, there := s.objects[name]; there && r.Header.Get("If-None-Match") == "*" {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.objects[name] = object{content: body, mediaType: r.Header.Get("Content-Type"), at: time.Now()}
	if r.Method == http.MethodPost {
		answer(w, completed{ETag: `"0"`})
		return
	}
	w.Header().Set("ETag", `"0"`)
}

// upload takes a part of an upload, puts its parts together, or gives it up.
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
		w.Header().Set("ETag", `"0"`)
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		numbers := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
		})
		var whole []byte
		for _, n := range numbers {
			whole = append(whole, parts[n]...)
		}
		s.put(w, r, name, whole)
		if _, there := s.objects[name]; there {
			delete(s.uploads, id)
		}
	}
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
		page.Contents = append(page.Contents, entry{Key: key, Size: len(o.content), LastModified: o.at.UTC(), ETag: `"0"`})
	}
	answer(w, page)
}

// content reads a body; one that is signed in chunks, or carries a checksum
// behind itself, comes in chunks of its own.
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
			return whole, nil // what follows are checksums
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

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // of types of our own
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	answer(w, refusal{Code: code})
}
