package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
)

// backends are the backends that need no server, each with an empty store.
func backends() map[string]func(testing.TB) Backend {
	return map[string]func(testing.TB) Backend{
		"files": func(t testing.TB) Backend {
			f, err := openFileBackend(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return f
		},
		"memory bucket": func(testing.TB) Backend { return BucketBackend(memblob.OpenBucket(nil)) },
	}
}

// damagingBackend returns other bytes than were put, except for the store id.
type damagingBackend struct {
	Backend
	damage  func([]byte) []byte
	mu      sync.Mutex
	deleted []string // keys
}

func (b *damagingBackend) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.Backend.Get(ctx, key)
	if err != nil || key == idKey {
		return r, err
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(b.damage(content))), nil
}

func (b *damagingBackend) Delete(ctx context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deleted = append(b.deleted, key)
	return b.Backend.Delete(ctx, key)
}

// identifiedBackend has its own store id and can store no objects.
type identifiedBackend struct{}

func (identifiedBackend) StoreID(context.Context) (string, error) { return "from-the-bucket", nil }
func (identifiedBackend) Put(context.Context, string, string, io.Reader) error {
	return errors.New("an identified backend is not asked to keep an id")
}
func (identifiedBackend) Get(context.Context, string) (io.ReadCloser, error) { return nil, ErrNotFound }
func (identifiedBackend) Attributes(context.Context, string) (Object, error) {
	return Object{}, ErrNotFound
}
func (identifiedBackend) Delete(context.Context, string) error { return ErrNotFound }
func (identifiedBackend) List(context.Context, string) iter.Seq2[Object, error] {
	return func(func(Object, error) bool) {}
}
func (identifiedBackend) Close() error { return nil }

func TestNewUsesTheBackendsOwnID(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), identifiedBackend{})
	if err != nil || s.ID() != "from-the-bucket" {
		t.Errorf("new: %v, %v", s, err)
	}
}

func TestNewRefusesADamagedID(t *testing.T) {
	t.Parallel()
	for name, open := range backends() {
		b := open(t)
		if err := b.Put(t.Context(), idKey, "text/plain", strings.NewReader("0123")); err != nil {
			t.Fatal(err)
		}
		if s, err := New(t.Context(), b); err == nil || !strings.Contains(err.Error(), "is no store id") {
			t.Errorf("%s: new: %v, %v", name, s, err)
		}
	}
}

func TestFileBackendSweepsOnlyOldPartials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := openFileBackend(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.root.Mkdir(partialDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": partialAge + time.Hour, "young": time.Hour} {
		if err := f.root.WriteFile(partialDir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := f.root.Chtimes(partialDir+"/"+name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	again, err := openFileBackend(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	left := map[string]bool{}
	for _, name := range []string{"old", "young"} {
		if _, err := f.root.Lstat(partialDir + "/" + name); err == nil {
			left[name] = true
		}
	}
	if got := slices.Collect(maps.Keys(left)); !slices.Equal(got, []string{"young"}) {
		t.Errorf("left: %q, want the young one", got)
	}
}

// TestFileBackendSweepsOnlyDeadWriters: the partial file of a living writer of
// this machine remains and is completed; that of a killed writer is removed.
func TestFileBackendSweepsOnlyDeadWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := openFileBackend(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, more := io.Pipe()
	put := make(chan error, 1)
	go func() { put <- f.Put(t.Context(), "a", "", content) }()
	if _, err := more.Write([]byte("half")); err != nil { // it is being written now
		t.Fatal(err)
	}
	dead := partialDir + "/" + machinePrefix() + "DEAD"
	if err := f.root.WriteFile(dead, []byte("ha"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := openFileBackend(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := f.root.Lstat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a dead writer: %v", err)
	}
	if _, err := more.Write([]byte(" and half")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(more.Close(), <-put); err != nil {
		t.Errorf("the living writer: %v", err)
	}
	got, err := f.root.ReadFile("a")
	if err != nil || string(got) != "half and half" {
		t.Errorf("stored is %q, %v", got, err)
	}
	if left, err := fs.ReadDir(f.root.FS(), partialDir); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
