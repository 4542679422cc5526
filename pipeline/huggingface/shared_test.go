package huggingface_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
)

func sha256Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func gitOf(text string) string {
	sum := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(text), text)))
	return hex.EncodeToString(sum[:])
}

// TestLayout: what is downloaded lies where huggingface_hub looks for it: blobs by
// their ETag, pointers in the snapshot, the commit of the branch, the list of files.
func TestLayout(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	f.lfs["model.safetensors"] = true
	cache := t.TempDir()
	if _, err := f.client(t, func(o *huggingface.Options) { o.Cache = cache }).Model(t.Context(), "owner/name", ""); err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join(cache, "models--owner--name")
	for path, want := range map[string]string{
		"refs/main": commit,
		"snapshots/" + commit + "/model.safetensors":      f.files["model.safetensors"],
		"blobs/" + sha256Of(f.files["model.safetensors"]): f.files["model.safetensors"],
		"blobs/" + gitOf(f.files["config.json"]):          f.files["config.json"],
		".tunebus/" + commit + "/model.safetensors":       f.files["model.safetensors"],
	} {
		if body, err := os.ReadFile(filepath.Join(repository, path)); err != nil || string(body) != want {
			t.Errorf("%s: %.40q, %v", path, body, err)
		}
	}
	pointer, err := os.Readlink(filepath.Join(repository, "snapshots", commit, "config.json"))
	if want := filepath.Join("..", "..", "blobs", gitOf(f.files["config.json"])); err != nil || pointer != want {
		t.Errorf("the pointer leads to %q, %v", pointer, err)
	}
	var tree struct {
		Version int `json:"format_version"`
		Files   map[string]struct {
			Size int64  `json:"size"`
			LFS  string `json:"lfs_sha256"`
		} `json:"files"`
	}
	body, err := os.ReadFile(filepath.Join(repository, "trees", commit+".json"))
	if err == nil {
		err = json.Unmarshal(body, &tree)
	}
	if err != nil || tree.Version != 1 || len(tree.Files) != len(f.files) || tree.Files["model.safetensors"].LFS != sha256Of(f.files["model.safetensors"]) {
		t.Errorf("the list of files: %+v, %v", tree, err)
	}
}

// TestResume: a transfer that broke off goes on behind the bytes that are there, also
// in another process; a server that sends the whole again is no obstacle.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, ranges := range map[string]bool{"ranges": true, "no ranges": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeHub(t, model())
			weights := f.files["model.safetensors"]
			var mu sync.Mutex
			var asked []string
			f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/model.safetensors") {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Header.Get("Range"))
				switch {
				case len(asked) == 1:
					w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
					fmt.Fprint(w, weights[:3000]) // and no more
				case ranges:
					w.Header().Set("Content-Range", fmt.Sprintf("bytes 3000-%d/%d", len(weights)-1, len(weights)))
					w.WriteHeader(http.StatusPartialContent)
					fmt.Fprint(w, weights[3000:])
				default:
					fmt.Fprint(w, weights)
				}
				return true
			}
			cache := t.TempDir()
			if _, err := f.client(t, func(o *huggingface.Options) { o.Cache, o.Tries = cache, 1 }).Model(t.Context(), "owner/name", ""); err == nil {
				t.Fatal("a cut transfer is no error")
			}
			dir, err := f.client(t, func(o *huggingface.Options) { o.Cache = cache }).Model(t.Context(), "owner/name", "")
			if err != nil {
				t.Fatal(err)
			}
			if body, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(body) != weights {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			if want := []string{"", "bytes=3000-"}; strings.Join(asked, ",") != strings.Join(want, ",") {
				t.Errorf("asked for %q, want %q", asked, want)
			}
		})
	}
}

// TestDamagedRest: a rest that belongs to other bytes is found by the digest, and the
// file is fetched from its beginning.
func TestDamagedRest(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	weights := f.files["model.safetensors"]
	cache := t.TempDir()
	blobs := filepath.Join(cache, "models--owner--name", "blobs")
	if err := os.MkdirAll(blobs, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, gitOf(weights)+".tunebus-incomplete"), []byte("other bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(weights))
		return true
	}
	dir, err := f.client(t, func(o *huggingface.Options) { o.Cache = cache }).Model(t.Context(), "owner/name", "")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(body) != weights {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// leave writes files as huggingface_hub does; listed adds the list of all files.
func leave(t *testing.T, cache, kind string, files map[string]string, listed bool) {
	t.Helper()
	repository := filepath.Join(cache, kind+"--owner--name")
	write := func(name, text string) {
		path := filepath.Join(repository, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("refs/main", commit)
	entries := map[string]any{}
	for name, text := range files {
		write("blobs/"+gitOf(text), text)
		pointer := filepath.Join(repository, "snapshots", commit, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(pointer), 0o750); err != nil {
			t.Fatal(err)
		}
		up := strings.Repeat("../", 2+strings.Count(name, "/"))
		if err := os.Symlink(up+"blobs/"+gitOf(text), pointer); err != nil {
			t.Fatal(err)
		}
		entries[name] = map[string]any{"size": len(text), "blob_id": gitOf(text)}
	}
	if listed {
		body, err := json.Marshal(map[string]any{"format_version": 1, "files": entries})
		if err != nil {
			t.Fatal(err)
		}
		write("trees/"+commit+".json", string(body))
	}
}

// TestLeftByTheOfficialClient: files that huggingface_hub left are used: offline where
// they are whole, and with the Hub without fetching them again.
func TestLeftByTheOfficialClient(t *testing.T) {
	t.Parallel()
	offline := func(cache string) func(*huggingface.Options) {
		return func(o *huggingface.Options) { o.Cache, o.Offline = cache, true }
	}
	f := newFakeHub(t, model())
	for _, listed := range []bool{true, false} {
		cache := t.TempDir()
		leave(t, cache, "models", model(), listed)
		dir, err := f.client(t, offline(cache)).Model(t.Context(), "owner/name", "")
		if err != nil {
			t.Fatalf("listed %t: %v", listed, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "pytorch_model.bin")); err == nil {
			t.Error("a file that nobody reads is in the folder")
		}
		if body, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || string(body) != model()["model.safetensors"] {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	}
	if len(f.requests) > 0 {
		t.Errorf("offline: %v", f.requests)
	}

	online := t.TempDir()
	leave(t, online, "models", model(), false)
	if _, err := f.client(t, func(o *huggingface.Options) { o.Cache = online }).Model(t.Context(), "owner/name", ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range f.requests {
		if strings.Contains(path, "/resolve/") {
			t.Errorf("%s was fetched, and was there", path)
		}
	}

	rows := map[string]string{"README.md": "---\n---\n", "train.jsonl": "{}"}
	cache := t.TempDir()
	leave(t, cache, "datasets", rows, true)
	if dir, err := f.client(t, offline(cache)).Dataset(t.Context(), "owner/name", source.Selection{}); err != nil {
		t.Error(err)
	} else if _, err := os.Stat(filepath.Join(dir, "train.jsonl")); err != nil {
		t.Error(err)
	}
}

// TestPartOfAModel: what huggingface_hub left in part is not taken for the whole, and
// bytes of another content are not taken at all.
func TestPartOfAModel(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	try := func(cache, kind string) error {
		c := f.client(t, func(o *huggingface.Options) { o.Cache, o.Offline = cache, true })
		if kind == "datasets" {
			_, err := c.Dataset(t.Context(), "owner/name", source.Selection{})
			return err
		}
		_, err := c.Model(t.Context(), "owner/name", "")
		return err
	}
	missing := t.TempDir()
	leave(t, missing, "models", model(), true)
	if err := os.Remove(filepath.Join(missing, "models--owner--name", "blobs", gitOf(model()["tokenizer.json"]))); err != nil {
		t.Fatal(err)
	}
	shards := t.TempDir()
	leave(t, shards, "models", map[string]string{
		"config.json": "{}", "model-1.safetensors": "one",
		"model.safetensors.index.json": `{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}`,
	}, false)
	changed := t.TempDir()
	leave(t, changed, "models", model(), true)
	if err := os.WriteFile(filepath.Join(changed, "models--owner--name", "blobs", gitOf(model()["model.safetensors"])), []byte(strings.Repeat("Weights ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	unlisted := t.TempDir()
	leave(t, unlisted, "datasets", map[string]string{"train.jsonl": "{}"}, false)
	for _, c := range []struct{ cache, kind, want string }{
		{missing, "models", "1 of its files are missing, such as tokenizer.json"},
		{shards, "models", "such as model-2.safetensors"},
		{changed, "models", "such as model.safetensors"},
		{unlisted, "datasets", "nobody knows whether it is whole"},
		{t.TempDir(), "models", "HF_HUB_OFFLINE"},
	} {
		if err := try(c.cache, c.kind); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestRemoveLeavesOthers: what huggingface_hub fetched stays when tunebus removes what
// it keeps.
func TestRemoveLeavesOthers(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	cache := t.TempDir()
	leave(t, cache, "models", map[string]string{"pytorch_model.bin": "other weights"}, false)
	if _, err := f.client(t, func(o *huggingface.Options) { o.Cache = cache }).Model(t.Context(), "owner/name", ""); err != nil {
		t.Fatal(err)
	}
	all, err := cachelist.List(t.Context(), cache)
	if err != nil || len(all) != 1 || all[0].Repository != "model owner/name" || all[0].Bytes < 8000 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := all[0].Remove(); err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join(cache, "models--owner--name")
	if body, err := os.ReadFile(filepath.Join(repository, "snapshots", commit, "pytorch_model.bin")); err != nil || string(body) != "other weights" {
		t.Errorf("%q, %v", body, err)
	}
	for _, gone := range []string{"snapshots/" + commit + "/model.safetensors", "blobs/" + gitOf(model()["model.safetensors"]), ".tunebus/" + commit} {
		if _, err := os.Lstat(filepath.Join(repository, gone)); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
	if all, err := cachelist.List(t.Context(), cache); err != nil || len(all) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
}

// TestOldLayout: a cache of an earlier version is still read.
func TestOldLayout(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	cache := t.TempDir()
	for name, text := range map[string]string{
		"models/owner--name/" + commit + "/config.json": "{}", "models/owner--name/" + commit + "/.complete": "1", "models/owner--name/refs/main": commit,
	} {
		path := filepath.Join(cache, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := f.client(t, func(o *huggingface.Options) { o.Cache, o.Offline = cache, true }).Model(t.Context(), "owner/name", "")
	if err != nil || dir != filepath.Join(cache, "models", "owner--name", commit) {
		t.Errorf("%q, %v", dir, err)
	}
}

// TestGatedPage: the error names the page on which a person accepts the terms.
func TestGatedPage(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, model())
	f.gated = true
	_, err := f.client(t, nil).Model(t.Context(), "owner/name", "")
	if err == nil || !strings.Contains(err.Error(), f.hub.URL+"/owner/name,") {
		t.Errorf("%v", err)
	}
	_, err = f.client(t, nil).Dataset(t.Context(), "owner/name", source.Selection{})
	if err == nil || !strings.Contains(err.Error(), f.hub.URL+"/datasets/owner/name,") {
		t.Errorf("%v", err)
	}
}
