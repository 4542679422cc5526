package huggingface_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	token  = "hf_secret"
)

// fakeHub is a server with the part of the Hub's API that the client uses:
// revisions, paged file lists, and files. Files in LFS are redirected to another
// origin.
type fakeHub struct {
	t     *testing.T
	files map[string]string // by path
	lfs   map[string]bool   // paths in LFS
	// intercept, if set, may respond instead, and reports whether it did.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	gated     bool

	hub, cdn *httptest.Server

	mu       sync.Mutex
	requests []string
	leaked   []string // paths at the CDN that received a credential
}

func newFakeHub(t *testing.T, files map[string]string) *fakeHub {
	t.Helper()
	f := &fakeHub{t: t, files: files, lfs: map[string]bool{}}
	f.hub = httptest.NewServer(http.HandlerFunc(f.serveHub))
	f.cdn = httptest.NewServer(http.HandlerFunc(f.serveCDN))
	t.Cleanup(func() {
		f.hub.Close()
		f.cdn.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return f
}

func (f *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if r.Header.Get("Authorization") != "" {
		f.leaked = append(f.leaked, r.URL.Path)
	}
	f.mu.Unlock()
	fmt.Fprint(w, f.files[strings.TrimPrefix(r.URL.Path, "/signed/")])
}

func (f *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path)
	f.mu.Unlock()
	if f.gated && r.Header.Get("Authorization") != "Bearer "+token {
		w.Header().Set("X-Error-Code", "GatedRepo")
		http.Error(w, "gated", http.StatusUnauthorized)
		return
	}
	if f.intercept != nil && f.intercept(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/models/owner/name")
	path = strings.TrimPrefix(path, "/api/datasets/owner/name")
	switch {
	case strings.HasPrefix(path, "/revision/"):
		revision := strings.TrimPrefix(path, "/revision/")
		if revision == "none" {
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			http.Error(w, "none", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"sha": %q}`, commit)
	case strings.HasPrefix(path, "/tree/"+commit):
		f.serveTree(w, r)
	case strings.Contains(path, "/resolve/"+commit+"/"):
		_, name, _ := strings.Cut(path, "/resolve/"+commit+"/")
		if f.lfs[name] {
			http.Redirect(w, r, f.cdn.URL+"/signed/"+name, http.StatusFound)
			return
		}
		fmt.Fprint(w, f.files[name])
	default:
		http.NotFound(w, r)
	}
}

// serveTree has one file on each page.
func (f *fakeHub) serveTree(w http.ResponseWriter, r *http.Request) {
	names := slices.Sorted(maps.Keys(f.files))
	at := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &at) // absent on the first page
	page := []map[string]any{{"type": "directory", "path": "folder", "oid": "x"}}
	if at < len(names) {
		body := f.files[names[at]]
		blob := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(body), body)))
		entry := map[string]any{"type": "file", "path": names[at], "size": len(body), "oid": hex.EncodeToString(blob[:])}
		if f.lfs[names[at]] {
			sum := sha256.Sum256([]byte(body))
			entry["lfs"] = map[string]any{"oid": hex.EncodeToString(sum[:]), "size": len(body), "pointerSize": 130}
		}
		page = append(page, entry)
		if at+1 < len(names) {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, f.hub.URL, r.URL.Path, at+1))
		}
	}
	if err := json.NewEncoder(w).Encode(page); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeHub) client(t *testing.T, change func(*huggingface.Options)) *huggingface.Client {
	t.Helper()
	opts := huggingface.Options{Endpoint: f.hub.URL, Cache: t.TempDir(), Backoff: time.Millisecond, Tries: 3}
	if change != nil {
		change(&opts)
	}
	c, err := huggingface.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func model() map[string]string {
	return map[string]string{
		"config.json": `{"model_type":"llama"}`, "tokenizer.json": "{}", "model.safetensors": strings.Repeat("weights ", 1000),
		"README.md": "words", "pytorch_model.bin": "other weights", "onnx/model.onnx": "others", ".gitattributes": "x",
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	f.lfs["model.safetensors"] = true
	var log bytes.Buffer
	c := f.client(t, func(o *huggingface.Options) { o.Token, o.Logger = token, slog.New(slog.NewTextHandler(&log, nil)) })
	dir, err := c.Model(t.Context(), "owner/name", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(body) != f.files[name] {
			t.Errorf("%s has %d bytes, %v", name, len(body), err)
		}
	}
	for _, name := range []string{"README.md", "pytorch_model.bin", "onnx", ".gitattributes"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was fetched", name)
		}
	}
	if len(f.leaked) > 0 {
		t.Errorf("the token went to another origin with %v", f.leaked)
	}
	if strings.Contains(log.String(), token) {
		t.Error("the token is in the log")
	}
	before := len(f.requests)
	again, err := c.Model(t.Context(), "owner/name@main", "")
	if err != nil || again != dir {
		t.Errorf("again: %q, %v", again, err)
	}
	if n := len(f.requests) - before; n != 1 {
		t.Errorf("%d requests for what is in the cache, want 1 for the revision", n)
	}
	before = len(f.requests)
	if byCommit, err := c.Model(t.Context(), "owner/name", commit); err != nil || byCommit != dir || len(f.requests) != before {
		t.Errorf("by its commit: %q, %v, %d requests", byCommit, err, len(f.requests)-before)
	}
}

func TestDataset(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, map[string]string{
		"README.md": "x", "data/train.jsonl": `{"question":"q"}`, "data/test.jsonl": `{"question":"t"}`, "dataset_infos.json": "{}", "extra.csv": "a,b",
	})
	dir, err := f.client(t, nil).Dataset(t.Context(), "owner/name@v1", source.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(filepath.Join(dir, "data", "test.jsonl")); err != nil || string(body) != f.files["data/test.jsonl"] {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "extra.csv")); err == nil {
		t.Error("a second format was fetched")
	}
}

// TestConfigurations: of a data set whose card names configurations, the selected one
// is downloaded, beside those that were downloaded before. A configuration that is
// not there is named with those that are.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, map[string]string{
		"README.md":          "---\nconfigs:\n- {config_name: main, data_files: main/*.parquet}\n- {config_name: hard, data_files: hard/*.jsonl}\n---\n",
		"main/train.parquet": "PAR1", "hard/train.jsonl": "{}", "hard/test.jsonl": "{}",
	})
	client := f.client(t, nil)
	exists := func(dir, name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	dir, err := client.Dataset(t.Context(), "owner/name", source.Selection{Name: "hard"})
	if err != nil || !exists(dir, "README.md") || !exists(dir, "hard/test.jsonl") || exists(dir, "main/train.parquet") {
		t.Fatalf("%s, %v", dir, err)
	}
	again, err := client.Dataset(t.Context(), "owner/name", source.Selection{Config: "main", Split: "train"})
	if err != nil || again != dir || !exists(dir, "main/train.parquet") {
		t.Errorf("%s, %v", again, err)
	}
	for _, selected := range []source.Selection{{}, {Name: "easy"}, {Config: "easy", Split: "train"}} {
		_, err := client.Dataset(t.Context(), "owner/name", selected)
		if err == nil || !strings.Contains(err.Error(), `it has the configurations "main", "hard"`) {
			t.Errorf("%+v: %v", selected, err)
		}
	}
	if err := client.HasDataset(t.Context(), "owner/name"); err != nil {
		t.Error(err)
	}
}

// TestDatasetWithoutFiles: the Hub's conversion is downloaded.
func TestDatasetWithoutFiles(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, map[string]string{"script.py": "x"})
	original := f.serveHub
	f.hub.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "convert") {
			f.files = map[string]string{"other/train/0000.parquet": "no", "default/train/0000.parquet": "PAR1"}
			fmt.Fprintf(w, `{"sha": %q}`, strings.Repeat("a", 40))
			return
		}
		r.URL.Path = strings.ReplaceAll(r.URL.Path, strings.Repeat("a", 40), commit)
		original(w, r)
	})
	client := f.client(t, nil)
	dir, err := client.Dataset(t.Context(), "owner/name", source.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "default", "train", "0000.parquet")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("another configuration was fetched too")
	}
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.Contains(string(card), `config_name: "other"`) {
		t.Errorf("the configurations are not written down: %s, %v", card, err)
	}
	f.files = map[string]string{"script.py": "x"}
	if dir, err = client.Dataset(t.Context(), "owner/name", source.Selection{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other", "train", "0000.parquet")); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	gated := newFakeHub(t, model())
	gated.gated = true
	noWeights := newFakeHub(t, map[string]string{"config.json": "{}", "pytorch_model.bin": "x"})
	denied := newFakeHub(t, model())
	denied.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "no", http.StatusUnauthorized)
		return true
	}
	disabled := newFakeHub(t, model())
	disabled.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("X-Error-Code", "DisabledRepo")
		w.Header().Set("X-Error-Message", "Access to this resource is disabled.")
		http.Error(w, "no", http.StatusForbidden)
		return true
	}
	withToken := func(o *huggingface.Options) { o.Token = token + "-wrong" }
	for _, c := range []struct {
		name    string
		fake    *fakeHub
		id      string
		options func(*huggingface.Options)
		want    string
	}{
		{"gated", gated, "owner/name", nil, "accept its terms"},
		{"gated for this token", gated, "owner/name", withToken, "accept its terms"},
		{"no such repository", f, "owner/other", nil, "check its name"},
		{"no such revision", f, "owner/name@none", nil, "no such revision"},
		{"private", denied, "owner/name", nil, "set HF_TOKEN"},
		{"disabled", disabled, "owner/name", withToken, `has disabled this repository, and no token opens it; take another one, or ask its owner ("Access to this resource is disabled.")`},
		{"a wrong token", denied, "owner/name", withToken, "the token is not accepted"},
		{"no weights", noWeights, "owner/name", nil, "no config.json with safetensors"},
		{"no id", f, "name", nil, "want owner/name"},
		{"a path", f, "../name", nil, "want owner/name"},
		{"a revision with ..", f, "owner/name@../../x", nil, "no revision"},
		{"offline", f, "owner/name", func(o *huggingface.Options) { o.Offline = true }, "HF_HUB_OFFLINE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.fake.client(t, c.options).Model(t.Context(), c.id, "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			if errors.Is(err, huggingface.ErrUnreachable) {
				t.Errorf("%v counts as unreachable", err)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error("the error contains the token")
			}
		})
	}
}

// TestTemporaryErrorsAreRetried: a busy server, a server error and a broken
// transfer.
func TestTemporaryErrorsAreRetried(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	f.lfs["model.safetensors"] = true
	var mu sync.Mutex
	seen := map[string]int{}
	first := func(path string) bool {
		mu.Lock()
		defer mu.Unlock()
		seen[path]++
		return seen[path] == 1
	}
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/revision/") && first(r.URL.Path):
			w.Header().Set("Retry-After", "0")
			http.Error(w, "busy", http.StatusTooManyRequests)
		case strings.Contains(r.URL.Path, "/tree/") && first(r.URL.Path):
			http.Error(w, "broken", http.StatusBadGateway)
		case strings.HasSuffix(r.URL.Path, "/config.json") && first(r.URL.Path):
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "{") // and no more
		case strings.HasSuffix(r.URL.Path, "/tokenizer.json") && first(r.URL.Path):
			fmt.Fprint(w, "[]") // of the right length
		default:
			return false
		}
		return true
	}
	dir, err := f.client(t, nil).Model(t.Context(), "owner/name", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "tokenizer.json"} {
		if body, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(body) != f.files[name] {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// TestWrongDigestIsRefused: a file with another digest than the listed one is
// refused, and nothing of it remains in the cache.
func TestWrongDigestIsRefused(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/model.safetensors") {
			fmt.Fprint(w, strings.Repeat("Weights ", 1000))
			return true
		}
		return false
	}
	cache := t.TempDir()
	c := f.client(t, func(o *huggingface.Options) { o.Cache = cache })
	if _, err := c.Model(t.Context(), "owner/name", ""); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("%v, want a wrong digest", err)
	}
	err := filepath.WalkDir(cache, func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(path, "safetensors") || strings.Contains(path, ".fetching") || strings.HasSuffix(path, ".complete") {
			t.Errorf("%s remains", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.intercept = nil
	if _, err := c.Model(t.Context(), "owner/name", ""); err != nil {
		t.Errorf("once the content is right: %v", err)
	}
}

// TestListIsNotTrusted: neither a path outside the folder nor a next page at
// another server is accepted.
func TestListIsNotTrusted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../evil.safetensors", "/etc/passwd", `a\b.json`, "a/../../b.json"} {
		f := newFakeHub(t, map[string]string{path: "x", "config.json": "{}"})
		if _, err := f.client(t, nil).Model(t.Context(), "owner/name", ""); err == nil || !strings.Contains(err.Error(), "leads out") {
			t.Errorf("%q: %v", path, err)
		}
	}
	f := newFakeHub(t, model())
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/tree/") {
			w.Header().Set("Link", `<http://elsewhere.invalid/next>; rel="next"`)
			fmt.Fprint(w, "[]")
			return true
		}
		return false
	}
	if _, err := f.client(t, nil).Model(t.Context(), "owner/name", ""); err == nil || !strings.Contains(err.Error(), "next page") {
		t.Errorf("a next page at another server: %v", err)
	}
}

func TestUnreachableHub(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	cache := t.TempDir()
	at := func(o *huggingface.Options) { o.Cache = cache }
	want, err := f.client(t, at).Model(t.Context(), "owner/name", "")
	if err != nil {
		t.Fatal(err)
	}
	f.hub.Close()
	if got, err := f.client(t, at).Model(t.Context(), "owner/name", ""); err != nil || got != want {
		t.Errorf("in the cache: %q, %v", got, err)
	}
	if got, err := f.client(t, func(o *huggingface.Options) { o.Cache, o.Offline = cache, true }).Model(t.Context(), "owner/name", ""); err != nil || got != want {
		t.Errorf("offline: %q, %v", got, err)
	}
	if _, err := f.client(t, at).Model(t.Context(), "owner/name", "v2"); !errors.Is(err, huggingface.ErrUnreachable) {
		t.Errorf("not in the cache: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.client(t, nil).Model(ctx, "owner/name", ""); !errors.Is(err, context.Canceled) || errors.Is(err, huggingface.ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"huggingface.co", "ftp://x", "https://me:" + token + "@x", "http://%zz"} {
		if _, err := huggingface.New(huggingface.Options{Endpoint: bad, Cache: "x"}); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestConcurrentDownloads: processes share a cache without a lock.
func TestConcurrentDownloads(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	cache := t.TempDir()
	var all sync.WaitGroup
	for range 6 {
		c := f.client(t, func(o *huggingface.Options) { o.Cache = cache })
		all.Go(func() {
			dir, err := c.Model(t.Context(), "owner/name", "")
			if err != nil {
				t.Error(err)
				return
			}
			if body, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(body) != f.files["model.safetensors"] {
				t.Errorf("%d bytes, %v", len(body), err)
			}
		})
	}
	all.Wait()
}
