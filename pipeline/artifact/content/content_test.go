package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
)

func openStore(t *testing.T, dir string) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// folder makes a folder with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func upload(t *testing.T, s Store, paths map[string]string) map[string]events.Reference {
	t.Helper()
	up := NewUploader(s, manifest.Digest)
	defer up.Close()
	refs, err := up.Upload(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

// keys are the stored content.
func keys(t *testing.T, s Store) (out []string) {
	t.Helper()
	for o, err := range s.List(t.Context(), Prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Key)
	}
	slices.Sort(out)
	return out
}

// elsewhere is a store whose objects are no files of this machine.
type elsewhere struct{ Store }

func (e elsewhere) Locate(events.Reference) (string, bool) { return "", false }

// TestUploadOnce: a file that two folders share, or that is uploaded twice, is
// stored once; both folders can be had.
func TestUploadOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	a := map[string]string{"config.json": "{}", "model.safetensors": "weights"}
	b := map[string]string{"config.json": "{1}", "deep/model.safetensors": "weights", "copy": "weights"}
	file := folder(t, map[string]string{"Rows.jsonl": "weights"})
	refs := upload(t, s, map[string]string{"a": folder(t, a), "b": folder(t, b), "c": filepath.Join(file, "Rows.jsonl")})
	want := map[string]bool{}
	for _, text := range []string{"{}", "{1}", "weights"} {
		want[Prefix+sum(text)] = true
	}
	want[refs["a"].Key], want[refs["b"].Key] = true, true
	if got := keys(t, s); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("stored %q", got)
	}
	if c := refs["c"]; c.Name != "Rows.jsonl" || c.Key != Prefix+sum("weights") || c.Size != 7 {
		t.Errorf("the file is %+v", c)
	}
	again := upload(t, s, map[string]string{"a": folder(t, a)})
	if again["a"] != refs["a"] || len(keys(t, s)) != len(want) {
		t.Errorf("again %+v, and %d objects", again["a"], len(keys(t, s)))
	}
	for name, files := range map[string]map[string]string{"a": a, "b": b} {
		dir := filepath.Join(t.TempDir(), "out")
		if err := transfer.New(s).FetchDir(t.Context(), refs[name], dir); err != nil {
			t.Fatal(err)
		}
		for path, text := range files {
			if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != text {
				t.Errorf("%s: %s holds %q, %v", name, path, got, err)
			}
		}
	}
}

// TestUploadReplacesDamage: what is found is verified; a damaged object is
// replaced, in a store of files also if only its content differs.
func TestUploadReplacesDamage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage string
		remote bool
	}{
		"other content":      {"weighTs", false},
		"truncated":          {"weigh", false},
		"truncated, remote":  {"weigh", true},
		"never read, remote": {"weighTs", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var s Store = openStore(t, dir)
			if c.remote {
				s = elsewhere{s}
			}
			// As a writer leaves it that is killed before it has read the object back.
			if _, err := s.Put(t.Context(), Prefix+sum("weights"), mediaFile, strings.NewReader(c.damage)); err != nil {
				t.Fatal(err)
			}
			refs := upload(t, s, map[string]string{"a": folder(t, map[string]string{"x": "weights"})})
			out := filepath.Join(t.TempDir(), "out")
			if err := transfer.New(s).FetchDir(t.Context(), refs["a"], out); err != nil {
				t.Error(err)
			}
		})
	}
}

// cutStore breaks the connection in the middle of an object, once a number of
// objects of content are stored.
type cutStore struct {
	Store
	left *int
	sent map[string]int // by key
}

var errCut = errors.New("the connection broke")

func (c cutStore) Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error) {
	if strings.HasPrefix(key, Prefix) {
		if *c.left--; *c.left < 0 {
			r = io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(errCut))
		}
		c.sent[key]++
	}
	return c.Store.Put(ctx, key, mediaType, r)
}

// TestCutUpload: an upload that breaks off leaves no folder that lacks a file; the
// next one sends only what is missing.
func TestCutUpload(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a": "first", "b": "second", "c": "third"}
	dir := folder(t, files)
	for whole := range 4 { // objects that arrive before the connection breaks
		s := openStore(t, t.TempDir())
		left, sent := whole, map[string]int{}
		up := NewUploader(cutStore{s, &left, sent}, manifest.Digest)
		_, err := up.Upload(t.Context(), map[string]string{"k": dir})
		up.Close()
		if !errors.Is(err, errCut) {
			t.Errorf("after %d objects: %v", whole, err)
		}
		arrived := keys(t, s)
		if len(arrived) != whole {
			t.Errorf("after %d objects there are %q", whole, arrived)
		}
		again := map[string]int{}
		left = len(files) + 1
		up = NewUploader(cutStore{s, &left, again}, manifest.Digest)
		refs, err := up.Upload(t.Context(), map[string]string{"k": dir})
		up.Close()
		if err != nil || len(again) != len(files)+1-whole {
			t.Errorf("after %d objects the next upload sends %d: %v", whole, len(again), err)
		}
		if err := transfer.New(s).FetchDir(t.Context(), refs["k"], filepath.Join(t.TempDir(), "out")); err != nil {
			t.Error(err)
		}
	}
}

// TestUploadOfChangingFile: a file that is not what it was when its digest was
// computed is not stored, for nobody could use it.
func TestUploadOfChangingFile(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	path := filepath.Join(folder(t, map[string]string{"x": "old"}), "x")
	up := NewUploader(s, func(ctx context.Context, path string) (int64, string, error) {
		size, sum, err := manifest.Digest(ctx, path)
		return size, sum, errors.Join(err, os.WriteFile(path, []byte("new"), 0o600))
	})
	defer up.Close()
	if _, err := up.Upload(t.Context(), map[string]string{"k": path}); err == nil || !strings.Contains(err.Error(), "changed while it was uploaded") {
		t.Errorf("upload: %v", err)
	}
	if got := keys(t, s); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

// TestRemove: content goes unless it is reserved or new; notices go when they are
// old.
func TestRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	put := func(text string) string {
		if _, err := s.Put(t.Context(), Prefix+sum(text), mediaFile, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		return sum(text)
	}
	age := func(key string) {
		then := time.Now().Add(-3 * Lifetime)
		if err := os.Chtimes(filepath.Join(dir, key), then, then); err != nil {
			t.Fatal(err)
		}
	}
	old, reserved, lapsed, young := put("old"), put("reserved"), put("lapsed"), put("young")
	for _, sum := range []string{old, reserved, lapsed} {
		age(Prefix + sum)
	}
	key, err := post(t.Context(), s, reservations, map[string]bool{lapsed: true})
	if err != nil {
		t.Fatal(err)
	}
	age(key)
	if err := reserve(t.Context(), s, map[string]bool{reserved: true}); err != nil {
		t.Fatal(err)
	}
	cutoff := time.Now().Add(-Lifetime)
	var removed []string
	err = Remove(t.Context(), s, []string{old, reserved, lapsed, young, sum("never stored")}, cutoff, func(o artifact.Object) { removed = append(removed, o.Key) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{Prefix + old, Prefix + lapsed}; !slices.Equal(removed, want) {
		t.Errorf("removed %q, want %q", removed, want)
	}
	if err := RemoveNotices(t.Context(), s, cutoff); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]int{reservations: 1, condemned: 0} {
		n := 0
		for range s.List(t.Context(), prefix) {
			n++
		}
		if n != want {
			t.Errorf("%d notices in %s, want %d", n, prefix, want)
		}
	}
}

// TestReserve: what a request refers to has to be there, with all files of its
// folders, and is reserved.
func TestReserve(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ref := upload(t, s, map[string]string{"a": folder(t, map[string]string{"x": "one", "y": "two"})})["a"]
	if err := RemoveNotices(t.Context(), s, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	reserver := Reserver{Store: s}
	if err := reserver.Reserve(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	digests := []string{ref.SHA256, sum("one"), sum("two")}
	if err := Remove(t.Context(), s, digests, time.Now().Add(-time.Minute), func(o artifact.Object) { t.Errorf("%s was removed", o.Key) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), Prefix+sum("two")); err != nil {
		t.Fatal(err)
	}
	if err := reserver.Reserve(t.Context(), ref); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("reserve a folder without a file: %v", err)
	}
}

// slowStore lets other goroutines in before each removal, where a removal does
// the most harm.
type slowStore struct {
	Store
	turn func()
}

func (s slowStore) Delete(ctx context.Context, key string) error {
	if strings.HasPrefix(key, Prefix) {
		s.turn()
	}
	return s.Store.Delete(ctx, key)
}

// TestUploadsBesideCollectors: whatever a collector removes meanwhile, what an
// upload returns is there for as long as a reservation lasts.
func TestUploadsBesideCollectors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const uploaders, collectors, texts = 4, 2, 6
	// Objects count as new for a moment only, so that collectors have much to do.
	const lifetime = 400 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	var removals, uploads atomic.Int64
	var all sync.WaitGroup
	for i := range uploaders {
		s, dice := openStore(t, dir), rand.New(rand.NewPCG(uint64(i), 1))
		all.Go(func() {
			for ctx.Err() == nil {
				paths := map[string]string{}
				for range 1 + dice.IntN(2) {
					text := fmt.Sprint("text ", dice.IntN(texts))
					paths[text] = folder(t, map[string]string{"a": text, "b": fmt.Sprint("text ", dice.IntN(texts))})
				}
				began := time.Now()
				up := NewUploader(s, manifest.Digest)
				refs, err := up.Upload(t.Context(), paths)
				up.Close()
				lapsed := time.Since(began) > lifetime/2 // perhaps: the machine is too busy for such a short reservation
				if err != nil && !(lapsed && errors.Is(err, artifact.ErrNotFound)) {
					t.Error(err)
					return
				}
				if lapsed {
					continue
				}
				uploads.Add(1)
				for _, ref := range refs {
					if _, err := os.Stat(filepath.Join(dir, ref.Key)); err != nil && time.Since(began) < lifetime {
						t.Errorf("an upload lacks %s: %v", ref.Key, err)
					}
					m, err := transfer.New(s).Manifest(t.Context(), ref)
					for _, f := range m.Files {
						if _, missing := os.Stat(filepath.Join(dir, Prefix, f.SHA256)); missing != nil && time.Since(began) < lifetime {
							t.Errorf("an upload lacks %s: %v", f.Path, errors.Join(err, missing))
						}
					}
				}
			}
		})
	}
	for i := range collectors {
		dice := rand.New(rand.NewPCG(uint64(i), 2))
		s := slowStore{openStore(t, dir), func() {
			for range dice.IntN(10_000) {
				runtime.Gosched()
			}
		}}
		all.Go(func() {
			for ctx.Err() == nil {
				cutoff := time.Now().Add(-lifetime)
				var digests []string
				for o, err := range s.List(t.Context(), Prefix) {
					sum, ok := Digest(o.Key)
					if err != nil || !ok {
						t.Errorf("%s, %v", o.Key, err)
					}
					digests = append(digests, sum)
				}
				err := Remove(t.Context(), s, digests, cutoff, func(artifact.Object) { removals.Add(1) })
				if err = errors.Join(err, RemoveNotices(t.Context(), s, cutoff)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if removals.Load() == 0 || uploads.Load() == 0 {
		t.Errorf("%d removals beside %d uploads say nothing", removals.Load(), uploads.Load())
	}
	t.Logf("%d removals beside %d uploads", removals.Load(), uploads.Load())
}
