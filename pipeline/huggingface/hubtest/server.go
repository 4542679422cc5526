package hubtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

const (
	// Token is the token that the server takes.
	Token = "hf_test_token"
	// User is the account of the token.
	User = "someone"
)

// Server is the Hub.
type Server struct {
	// URL is its address.
	URL string
	// Part, if not 0, has large files uploaded in parts of so many bytes.
	Part int64
	// Older has the server know only the older form of the wish for a private repository.
	Older bool
	// LargeFrom is the size from which a file goes to the large storage. Default 1000.
	LargeFrom int64

	http *httptest.Server

	mu        sync.Mutex
	intercept func(w http.ResponseWriter, r *http.Request) bool
	repos     map[string]*repository
	large     map[string][]byte // by digest
	parts     map[string][]byte // by digest and number
	requests  []string
	leaked    []string
}

// repository has the newest state of a repository.
type repository struct {
	private bool
	commits int
	head    string
	files   map[string]stored
}

type stored struct {
	content []byte
	large   bool
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{LargeFrom: 1000, repos: map[string]*repository{}, large: map[string][]byte{}, parts: map[string][]byte{}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL
	t.Cleanup(s.http.Close)
	return s
}

// Intercept has a function answer instead of the server where it returns true.
func (s *Server) Intercept(intercept func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = intercept
}

// Commits is how many commits were pushed to a repository; -1 if it does not exist.
func (s *Server) Commits(k hubapi.Kind, id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[string(k)+"/"+id]; r != nil {
		return r.commits
	}
	return -1
}

// Private reports whether a repository is private.
func (s *Server) Private(k hubapi.Kind, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[string(k)+"/"+id]
	return r != nil && r.private
}

// Files are the files of a repository.
func (s *Server) Files(k hubapi.Kind, id string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	if r := s.repos[string(k)+"/"+id]; r != nil {
		for name, f := range r.files {
			out[name] = string(f.content)
		}
	}
	return out
}

// Put makes a repository with files, or changes it.
func (s *Server) Put(k hubapi.Kind, id string, private bool, files map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[string(k)+"/"+id]
	if r == nil {
		r = s.make(string(k)+"/"+id, private)
	}
	for name, text := range files {
		r.files[name] = stored{[]byte(text), int64(len(text)) >= s.LargeFrom}
	}
	r.move()
}

// Requests are the methods and paths of all requests.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Leaked are the paths of the storage that got a credential.
func (s *Server) Leaked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.leaked)
}

func (s *Server) make(key string, private bool) *repository {
	r := &repository{private: private, files: map[string]stored{".gitattributes": {content: []byte("*.safetensors filter=lfs\n")}}}
	r.move()
	s.repos[key] = r
	return r
}

// move gives the repository another commit.
func (r *repository) move() {
	sum := sha256.New()
	fmt.Fprint(sum, r.head)
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		fmt.Fprintf(sum, "%s\x00%x\n", name, sha256.Sum256(r.files[name].content))
	}
	r.head = hex.EncodeToString(sum.Sum(nil))[:40]
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	storage := strings.HasPrefix(r.URL.Path, "/storage/")
	if storage && r.Header.Get("Authorization") != "" {
		s.leaked = append(s.leaked, r.URL.Path)
	}
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client broke off
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if storage {
		s.serveStorage(w, r, body)
		return
	}
	known := r.Header.Get("Authorization") == "Bearer "+Token
	if r.Method == http.MethodPost && !known {
		fail(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	path := r.URL.Path
	switch {
	case path == "/api/whoami-v2" && known:
		answer(w, map[string]any{"type": "user", "name": User})
	case path == "/api/repos/create":
		create(s, w, body)
	case path == "/api/validate-yaml":
		answer(w, map[string]any{"errors": []any{}, "warnings": []any{}})
	default:
		s.serveRepository(w, r, body, known)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func create(s *Server, w http.ResponseWriter, body []byte) {
	var asked struct {
		Name, Organization, Type, Visibility string
		Private                              bool
	}
	if json.Unmarshal(body, &asked) != nil {
		fail(w, http.StatusBadRequest, "", "malformed")
		return
	}
	kind := "models/"
	if asked.Type == "dataset" {
		kind = "datasets/"
	}
	if asked.Organization == "" {
		asked.Organization = User
	}
	id := asked.Organization + "/" + asked.Name
	if s.repos[kind+id] != nil {
		fail(w, http.StatusConflict, "", "You already created this repo")
		return
	}
	if !s.Older {
		asked.Private = asked.Visibility == "private"
	}
	s.make(kind+id, asked.Private)
	answer(w, map[string]string{"url": s.URL + "/" + id, "id": id})
}

// serveRepository answers for a repository: below /api/<kind>/<id>/, <id>.git/ and
// <id>/resolve/.
func (s *Server) serveRepository(w http.ResponseWriter, r *http.Request, body []byte, known bool) {
	path, isAPI := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/"), "api/")
	kind, rest, ok := strings.Cut(path, "/")
	if !isAPI && kind != "datasets" {
		kind, rest = "models", path
	}
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) < 2 {
		fail(w, http.StatusNotFound, "", "Not Found")
		return
	}
	name, isGit := strings.CutSuffix(parts[1], ".git")
	key := kind + "/" + parts[0] + "/" + name
	repo := s.repos[key]
	if repo == nil || repo.private && !known {
		status := http.StatusNotFound
		if !known {
			status = http.StatusUnauthorized
		}
		fail(w, status, "RepoNotFound", "Repository not found")
		return
	}
	operation, rest := "revision", "main"
	if len(parts) == 3 && parts[2] == "settings" && r.Method == http.MethodPut {
		change(s, w, repo, body)
		return
	}
	if len(parts) == 3 {
		operation, rest, _ = strings.Cut(parts[2], "/")
	}
	if isGit {
		operation = "lfs"
	}
	revision, file, _ := strings.Cut(rest, "/")
	if known := revision == "main" || revision == repo.head; operation != "lfs" && !known {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	switch operation {
	case "revision":
		answer(w, map[string]any{"id": parts[0] + "/" + name, "sha": repo.head, "private": repo.private, "siblings": []any{}})
	case "tree":
		answer(w, repo.tree())
	case "preupload":
		preupload(s, w, body)
	case "lfs":
		batch(s, w, body)
	case "commit":
		s.commit(w, repo, strings.TrimPrefix(key, "models/"), body)
	case "resolve":
		serveFile(w, r, repo, file)
	default:
		fail(w, http.StatusNotFound, "", "Not Found")
	}
}

// change changes the settings of a repository.
func change(s *Server, w http.ResponseWriter, repo *repository, body []byte) {
	var asked struct {
		Private    *bool
		Visibility string
	}
	if json.Unmarshal(body, &asked) != nil {
		fail(w, http.StatusBadRequest, "", "malformed")
		return
	}
	switch {
	case s.Older && asked.Private != nil:
		repo.private = *asked.Private
	case !s.Older && asked.Visibility != "":
		repo.private = asked.Visibility == "private"
	}
	answer(w, map[string]any{"private": repo.private})
}

func (r *repository) tree() []map[string]any {
	out := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		f := r.files[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(f.content), "oid": f.git()}
		if f.large {
			entry["lfs"] = map[string]any{"oid": f.sha256(), "size": len(f.content), "pointerSize": 130}
		}
		out = append(out, entry)
	}
	return out
}

func (f stored) git() string {
	h := hubapi.GitHash(int64(len(f.content)))
	h.Write(f.content)
	return hex.EncodeToString(h.Sum(nil))
}

func (f stored) sha256() string {
	sum := sha256.Sum256(f.content)
	return hex.EncodeToString(sum[:])
}

func serveFile(w http.ResponseWriter, r *http.Request, repo *repository, name string) {
	f, ok := repo.files[name]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", repo.head)
	w.Header().Set("ETag", `"`+f.git()+`"`)
	if f.large {
		w.Header().Set("ETag", `"`+f.sha256()+`"`)
		w.Header().Set("X-Linked-Etag", `"`+f.sha256()+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.content)))
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.content)))
}

func preupload(s *Server, w http.ResponseWriter, body []byte) {
	var asked struct {
		Files []struct {
			Path, Sample string
			Size         int64
		}
	}
	if json.Unmarshal(body, &asked) != nil || len(asked.Files) > 256 {
		fail(w, http.StatusBadRequest, "", "malformed")
		return
	}
	out := []map[string]any{}
	for _, f := range asked.Files {
		sample, err := base64.StdEncoding.DecodeString(f.Sample)
		if err != nil || len(sample) > 512 {
			fail(w, http.StatusBadRequest, "", "malformed sample")
			return
		}
		mode := "regular"
		if f.Size >= s.LargeFrom {
			mode = "lfs"
		}
		out = append(out, map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": false, "oid": nil})
	}
	answer(w, map[string]any{"files": out})
}

type pointer struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

func batch(s *Server, w http.ResponseWriter, body []byte) {
	var asked struct {
		Operation string
		Transfers []string
		Objects   []pointer
		HashAlgo  string `json:"hash_algo"`
	}
	if json.Unmarshal(body, &asked) != nil || asked.Operation != "upload" || asked.HashAlgo != "sha256" || !slices.Contains(asked.Transfers, "basic") {
		fail(w, http.StatusBadRequest, "", "malformed")
		return
	}
	out := []map[string]any{}
	for _, o := range asked.Objects {
		entry := map[string]any{"oid": o.OID, "size": o.Size}
		if _, there := s.large[o.OID]; !there {
			upload := map[string]any{"href": s.URL + "/storage/" + o.OID, "header": map[string]any{}}
			if s.Part > 0 && o.Size > s.Part {
				header := map[string]any{"chunk_size": strconv.FormatInt(s.Part, 10)}
				for n := int64(0); n*s.Part < o.Size; n++ {
					header[fmt.Sprintf("%05d", n+1)] = fmt.Sprintf("%s/storage/%s/%d", s.URL, o.OID, n+1)
				}
				upload = map[string]any{"href": s.URL + "/storage/complete/" + o.OID, "header": header}
			}
			entry["actions"] = map[string]any{"upload": upload, "verify": map[string]any{"href": s.URL + "/storage/verify", "header": map[string]any{}}}
		}
		out = append(out, entry)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": out})
}

// serveStorage keeps what is uploaded, if it has its digest.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request, body []byte) {
	path := strings.TrimPrefix(r.URL.Path, "/storage/")
	if path == "verify" {
		s.leaked = slices.DeleteFunc(s.leaked, func(p string) bool { return p == r.URL.Path }) // it belongs to the Hub
		var o pointer
		if err := json.Unmarshal(body, &o); err != nil || int64(len(s.large[o.OID])) != o.Size {
			fail(w, http.StatusNotFound, "", "not uploaded")
		}
		return
	}
	digest, number, isPart := strings.Cut(path, "/")
	switch {
	case digest == "complete":
		var done struct {
			OID   string
			Parts []struct {
				PartNumber int
				ETag       string
			}
		}
		if json.Unmarshal(body, &done) != nil {
			fail(w, http.StatusBadRequest, "", "malformed")
			return
		}
		var whole []byte
		for i, p := range done.Parts {
			if p.PartNumber != i+1 || p.ETag != fmt.Sprintf("etag-%d", i+1) {
				fail(w, http.StatusBadRequest, "", "wrong part")
				return
			}
			whole = append(whole, s.parts[done.OID+"/"+strconv.Itoa(i+1)]...)
		}
		s.keep(w, number, whole)
	case isPart:
		s.parts[path] = body
		w.Header().Set("ETag", "etag-"+number)
	default:
		s.keep(w, digest, body)
	}
}

func (s *Server) keep(w http.ResponseWriter, digest string, content []byte) {
	if got := (stored{content: content}).sha256(); got != digest {
		fail(w, http.StatusBadRequest, "", "the content has another digest")
		return
	}
	s.large[digest] = content
}

func (s *Server) commit(w http.ResponseWriter, repo *repository, page string, body []byte) {
	files := maps.Clone(repo.files)
	for line := range strings.Lines(string(body)) {
		var one struct {
			Key   string
			Value struct {
				ParentCommit, Content, Path, Encoding, OID string
				Size                                       int64
			}
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			fail(w, http.StatusBadRequest, "", "malformed line")
			return
		}
		switch v := one.Value; one.Key {
		case "header":
			if v.ParentCommit != "" && v.ParentCommit != repo.head {
				fail(w, http.StatusPreconditionFailed, "", "A commit has happened since. Please refresh and try again.")
				return
			}
		case "file":
			content, err := base64.StdEncoding.DecodeString(v.Content)
			if err != nil || v.Encoding != "base64" {
				fail(w, http.StatusBadRequest, "", "malformed content")
				return
			}
			files[v.Path] = stored{content: content}
		case "lfsFile":
			content, ok := s.large[v.OID]
			if !ok || int64(len(content)) != v.Size {
				fail(w, http.StatusBadRequest, "", "the large file "+v.Path+" was not uploaded")
				return
			}
			files[v.Path] = stored{content, true}
		}
	}
	repo.files = files
	repo.commits++
	repo.move()
	answer(w, map[string]any{"success": true, "commitOid": repo.head, "commitUrl": s.URL + "/" + page + "/commit/" + repo.head, "hookOutput": ""})
}

// Pass has the server handle an intercepted request, and throws its answer away.
func (s *Server) Pass(r *http.Request) {
	s.mu.Lock()
	intercept := s.intercept
	s.intercept = nil
	s.mu.Unlock()
	s.serve(httptest.NewRecorder(), r)
	s.Intercept(intercept)
}
