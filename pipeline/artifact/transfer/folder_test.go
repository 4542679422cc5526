package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact"
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
	if ref.MediaType != "application/x-tar" {
		t.Errorf("media type %q", ref.MediaType)
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
	if again, err := f.PutDir(t.Context(), ref.Key, twin); err != nil || again != ref {
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
	if _, err := f.PutDir(t.Context(), "k", t.TempDir()); !errors.Is(err, ErrEmptyFolder) {
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

func TestFetchDirOfDamagedArtifact(t *testing.T) {
	t.Parallel()
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			ref, err := f.PutDir(t.Context(), "k", writeDir(t, model()))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(f.storeDir, "k")
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(content), 0o644); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			err = f.FetchDir(t.Context(), ref, filepath.Join(parent, "dir"))
			if _, corrupt := errors.AsType[*artifact.CorruptError](err); !corrupt {
				t.Errorf("fetch: %v, want a CorruptError", err)
			}
			if left := readDir(t, parent); len(left) != 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
	f := newFixture(t)
	if err := f.FetchDir(t.Context(), f.put(t, "text", "text"), t.TempDir()); err == nil || !strings.Contains(err.Error(), "media type") {
		t.Errorf("fetch of a text as a folder: %v", err)
	}
}
