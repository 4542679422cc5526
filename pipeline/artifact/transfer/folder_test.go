package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// writeDir creates a folder with these files.
func writeDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	fsys := os.DirFS(dir)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func model() map[string]string {
	return map[string]string{
		"config.json": "{}", "a/b.txt": "b", "a.txt": "a", "empty": "", "a/deep/er/c": strings.Repeat("c", 100_000),
		strings.Repeat("n", 120) + "/" + strings.Repeat("m", 150) + "-é.bin": "a name that needs an extended header",
	}
}

func TestDirRoundTrip(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref, err := f.PutDir(t.Context(), "runs/r1/finetune/1/model", writeDir(t, model()))
	if err != nil {
		t.Fatal(err)
	}
	if ref.MediaType != manifest.MediaType || ref.Key != "runs/r1/finetune/1/model/manifest.json" {
		t.Errorf("the reference is %+v", ref)
	}
	dir := filepath.Join(t.TempDir(), "new", "model")
	for range 2 { // the second time the folder is reused
		if err := f.FetchDir(t.Context(), ref, dir); err != nil {
			t.Fatal(err)
		}
		if got := readDir(t, dir); !maps.Equal(got, model()) {
			t.Fatalf("got %d files, want %d", len(got), len(model()))
		}
	}

	// Another folder with the same files, made later, is the same artifact.
	twin := writeDir(t, model())
	if err := os.Chtimes(filepath.Join(twin, "a.txt"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if again, err := f.PutDir(t.Context(), "runs/r1/finetune/1/model", twin); err != nil || again != ref {
		t.Errorf("put of a twin: %+v, %v; want %+v", again, err, ref)
	}

	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("edited"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.FetchDir(t.Context(), ref, dir); !errors.Is(err, artifact.ErrExists) {
		t.Errorf("fetch into a folder with other files: %v, want ErrExists", err)
	}
}

func TestFetchDirConcurrently(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref, err := f.PutDir(t.Context(), "model", writeDir(t, model()))
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := f.FetchDir(t.Context(), ref, filepath.Join(parent, "model")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v; want the model alone", left, err)
	}
}

func TestPutDirFollowsLinksToFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	blobs := writeDir(t, map[string]string{"blob": "weights"})
	dir := writeDir(t, map[string]string{"config.json": "{}"})
	if err := os.Symlink(filepath.Join(blobs, "blob"), filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	ref, err := f.PutDir(t.Context(), "model", link)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "model")
	if err := f.FetchDir(t.Context(), ref, out); err != nil {
		t.Fatal(err)
	}
	if got := readDir(t, out); !maps.Equal(got, map[string]string{"config.json": "{}", "model.safetensors": "weights"}) {
		t.Errorf("got %q", got)
	}
	if err := os.Symlink(blobs, filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutDir(t.Context(), "linked", dir); err == nil || !strings.Contains(err.Error(), "neither a file nor a link to a file") {
		t.Errorf("put with a link to a folder: %v", err)
	}
}

func TestPutDirOfEmptyFolder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.PutDir(t.Context(), "k", t.TempDir()); !errors.Is(err, manifest.ErrEmptyFolder) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := f.PutDir(t.Context(), "k", filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := f.PutDir(t.Context(), "../k", writeDir(t, model())); err == nil {
		t.Error("bad key: no error")
	}
}

func TestFetchDirRefusesEntriesOutsideTheFolder(t *testing.T) {
	t.Parallel()
	file := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	for name, headers := range map[string][]*tar.Header{
		"absolute":  {file("/etc/evil")},
		"up":        {file("../evil")},
		"up inside": {file("a/../../evil")},
		"backslash": {file(`..\evil`)},
		"drive":     {file("C:evil")},
		"symlink":   {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}, file("l/evil")},
		"hard link": {file("a"), {Typeflag: tar.TypeLink, Name: "l", Linkname: "a"}},
		"pipe":      {{Typeflag: tar.TypeFifo, Name: "p"}},
		"device":    {{Typeflag: tar.TypeChar, Name: "d"}},
		"twice":     {file("a"), file("a")},
		"the root":  {file(".")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stream bytes.Buffer
			w := tar.NewWriter(&stream)
			for _, h := range headers {
				if err := w.WriteHeader(h); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			f := newFixture(t)
			ref, err := f.store.Put(t.Context(), "k", mediaTypeTar, &stream)
			if err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			if err := f.FetchDir(t.Context(), ref, filepath.Join(parent, "dir")); err == nil {
				t.Error("no error")
			}
			if left := readDir(t, parent); len(left) != 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

// putTar stores a folder as an earlier version did.
func (f fixture) putTar(t *testing.T, key string, dir string) events.Reference {
	t.Helper()
	var stream bytes.Buffer
	if err := packDir(t.Context(), &stream, dir); err != nil {
		t.Fatal(err)
	}
	ref, err := f.store.Put(t.Context(), key, mediaTypeTar, &stream)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestTarOfEarlierVersion: a folder that an earlier version stored can be had in
// each way.
func TestTarOfEarlierVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref := f.putTar(t, "runs/r1/finetune/1/model.tar", writeDir(t, model()))
	for name, get := range map[string]func(ctx context.Context, ref events.Reference, dir string) error{
		"fetch": f.FetchDir, "open": f.OpenDir, "export": f.ExportDir,
	} {
		dir := filepath.Join(t.TempDir(), "model")
		for range 2 { // the second time the folder is reused
			if err := get(t.Context(), ref, dir); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got := readDir(t, dir); !maps.Equal(got, model()) {
			t.Errorf("%s: got %d files, want %d", name, len(got), len(model()))
		}
	}
}

// TestFilesAreStoredOnce: two files with one content are one object.
func TestFilesAreStoredOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := map[string]string{"a": "same", "deep/b": "same", "c": "other"}
	ref, err := f.PutDir(t.Context(), "runs/r1/finetune/1/model", writeDir(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if stored := readDir(t, filepath.Join(f.storeDir, "runs")); len(stored) != 3 {
		t.Errorf("%d objects, want the manifest and 2 files: %q", len(stored), stored)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := f.OpenDir(t.Context(), ref, dir); err != nil || !maps.Equal(readDir(t, dir), files) {
		t.Errorf("open: %v, %q", err, readDir(t, dir))
	}
}

// TestOpenDirInPlace: a folder that is opened or exported takes no space of its
// own on the file system of the store, where its files are large. What a person
// may edit is a copy.
func TestOpenDirInPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	large := strings.Repeat("w", linkedFrom)
	ref, err := f.PutDir(t.Context(), "k", writeDir(t, map[string]string{"config.json": "{}", "model.safetensors": large}))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		get    func(ctx context.Context, ref events.Reference, dir string) error
		shared []string
	}{
		"fetch":  {f.FetchDir, nil},
		"open":   {f.OpenDir, []string{"config.json", "model.safetensors"}},
		"export": {f.ExportDir, []string{"model.safetensors"}},
	} {
		dir := filepath.Join(filepath.Dir(f.storeDir), name)
		if err := c.get(t.Context(), ref, dir); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var shared []string
		for _, file := range m.Files {
			stored, ok := f.store.Locate(m.Reference(ref, file))
			if !ok {
				t.Fatal("a store in a folder has no path")
			}
			if sameFile(t, stored, filepath.Join(dir, file.Path)) {
				shared = append(shared, file.Path)
			}
		}
		if !slices.Equal(shared, c.shared) {
			t.Errorf("%s: %q are the store's own files, want %q", name, shared, c.shared)
		}
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

func TestFetchDirRefusesManifests(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0", 64)
	entry := func(name string) string { return `{"path":"` + name + `","size":1,"sha256":"` + sum + `"}` }
	for name, text := range map[string]string{
		"absolute":          entry("/etc/evil"),
		"up":                entry("../evil"),
		"up inside":         entry("a/../../evil"),
		"not clean":         entry("a//b"),
		"backslash":         entry(`..\\evil`),
		"drive":             entry("C:evil"),
		"twice":             entry("a") + "," + entry("a"),
		"the root":          entry("."),
		"a file and folder": entry("a") + "," + entry("a/b"),
		"no digest":         `{"path":"a","size":1,"sha256":"../../../etc/passwd"}`,
		"no size":           `{"path":"a","size":-1,"sha256":"` + sum + `"}`,
		"no files":          "",
		"no JSON":           "{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			ref, err := f.store.Put(t.Context(), "k/manifest.json", manifest.MediaType, strings.NewReader(`{"files":[`+text+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			if err := f.OpenDir(t.Context(), ref, filepath.Join(parent, "dir")); err == nil || strings.Contains(err.Error(), "no such artifact") {
				t.Errorf("open: %v", err)
			}
			if left := readDir(t, parent); len(left) != 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

// TestFetchDirOfDamagedArtifact: neither a damaged manifest nor a damaged file,
// nor a damaged tar, becomes a folder, however it is fetched.
func TestFetchDirOfDamagedArtifact(t *testing.T) {
	t.Parallel()
	for name, damage := range damages() {
		for what, key := range map[string]string{
			"manifest": "k/manifest.json", "file": "k/" + digest(strings.Repeat("c", 100_000)), "tar": "k.tar",
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				ref, err := f.PutDir(t.Context(), "k", writeDir(t, model()))
				if err != nil {
					t.Fatal(err)
				}
				if what == "tar" {
					ref = f.putTar(t, key, writeDir(t, model()))
				}
				file := filepath.Join(f.storeDir, key)
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, damage(content), 0o644); err != nil {
					t.Fatal(err)
				}
				parent := t.TempDir()
				for _, get := range []func(context.Context, events.Reference, string) error{f.FetchDir, f.OpenDir, f.ExportDir} {
					err = get(t.Context(), ref, filepath.Join(parent, "dir"))
					if _, corrupt := errors.AsType[*artifact.CorruptError](err); !corrupt {
						t.Errorf("fetch: %v, want a CorruptError", err)
					}
					if left := readDir(t, parent); len(left) != 0 {
						t.Errorf("left over: %q", left)
					}
				}
			})
		}
	}
	f := newFixture(t)
	if err := f.FetchDir(t.Context(), f.put(t, "text", "text"), t.TempDir()); err == nil || !strings.Contains(err.Error(), "media type") {
		t.Errorf("fetch of a text as a folder: %v", err)
	}
}
