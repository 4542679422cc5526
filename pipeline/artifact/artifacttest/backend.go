package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

// TestBackend runs the suite. open returns a new backend with an empty store.
func TestBackend(t *testing.T, open func(t *testing.T) artifact.Backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, artifact.Backend)
	}{
		{"contents", contents},
		{"not found", notFound},
		{"exists", exists},
		{"failing reader", failingReader},
		{"cancelled", cancelled},
		{"list", list},
		{"concurrent puts", concurrentPuts},
		{"identity", identity},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.test(t, b)
		})
	}
}

func contents(t *testing.T, b artifact.Backend) {
	for key, content := range map[string][]byte{
		"empty":                 {},
		"runs/r1/finetune/1/a":  []byte("a"),
		"runs/r1/finetune/1/b":  bytes.Repeat([]byte("0123456789abcde\n"), 1<<16),
		"runs/r1/finetune/10/a": []byte("ten"),
	} {
		put(t, b, key, content)
		if got := get(t, b, key); !bytes.Equal(got, content) {
			t.Errorf("%s: got %d bytes, want the %d that were put", key, len(got), len(content))
		}
		o, err := b.Attributes(t.Context(), key)
		if err != nil || o.Key != key || o.Size != int64(len(content)) || o.ModTime.IsZero() {
			t.Errorf("attributes of %s: %+v, %v", key, o, err)
		}
	}
}

func notFound(t *testing.T, b artifact.Backend) {
	put(t, b, "runs/r1/a/b", []byte("x"))
	for _, key := range []string{"none", "runs/r1", "runs/r1/a", "runs/r1/a/c", "runs/r1/a/b/c"} {
		_, getErr := b.Get(t.Context(), key)
		_, attributesErr := b.Attributes(t.Context(), key)
		for method, err := range map[string]error{
			"get": getErr, "attributes": attributesErr, "delete": b.Delete(t.Context(), key),
		} {
			if !errors.Is(err, artifact.ErrNotFound) {
				t.Errorf("%s %s: %v, want ErrNotFound", method, key, err)
			}
		}
	}
	if err := b.Delete(t.Context(), "runs/r1/a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "runs/r1/a/b"); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("get after delete: %v, want ErrNotFound", err)
	}
	put(t, b, "runs/r1/a/b", []byte("again"))
}

func exists(t *testing.T, b artifact.Backend) {
	put(t, b, "k", []byte("first"))
	if err := b.Put(t.Context(), "k", "text/plain", strings.NewReader("second")); !errors.Is(err, artifact.ErrExists) {
		t.Errorf("second put: %v, want ErrExists", err)
	}
	if got := get(t, b, "k"); string(got) != "first" {
		t.Errorf("after the second put: %q", got)
	}
}

func failingReader(t *testing.T, b artifact.Backend) {
	broken := errors.New("broken")
	r := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(broken))
	if err := b.Put(t.Context(), "a/k", "text/plain", r); !errors.Is(err, broken) {
		t.Errorf("put: %v, want the reader's error", err)
	}
	if _, err := b.Get(t.Context(), "a/k"); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	put(t, b, "a/k", []byte("whole"))
	if got := keys(t, b, ""); !slices.Equal(got, []string{"a/k"}) {
		t.Errorf("left over: %q", got)
	}
}

// cancellingReader cancels a context at its first Read.
type cancellingReader struct {
	cancel context.CancelFunc
	r      io.Reader
}

func (c cancellingReader) Read(p []byte) (int, error) {
	c.cancel()
	return c.r.Read(p)
}

func cancelled(t *testing.T, b artifact.Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := b.Put(ctx, "k", "text/plain", cancellingReader{cancel, strings.NewReader("content")}); err == nil {
		t.Error("put returned nil although its context was cancelled")
	}
	if _, err := b.Get(t.Context(), "k"); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
}

func list(t *testing.T, b artifact.Backend) {
	all := []string{"inputs/x", "runs/r1/a/1", "runs/r1/a/2", "runs/r1/b/1", "runs/r10/a/1"}
	for _, key := range all {
		put(t, b, key, []byte(key))
	}
	for prefix, want := range map[string][]string{
		"":           all,
		"runs/":      all[1:],
		"runs/r1/":   all[1:4],
		"runs/r1":    all[1:],
		"runs/r1/a/": all[1:3],
		"none/":      nil,
		"../":        nil,
		"/":          nil,
	} {
		if got := keys(t, b, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q: %q, want %q", prefix, got, want)
		}
	}
	for o, err := range b.List(t.Context(), "runs/r1/b/") {
		if err != nil || o.Size != int64(len("runs/r1/b/1")) || o.ModTime.IsZero() {
			t.Errorf("list: %+v, %v", o, err)
		}
	}
	n := 0
	for range b.List(t.Context(), "") {
		n++
		break
	}
	if n != 1 {
		t.Errorf("stopped after %d objects, want 1", n)
	}
}

// concurrentPuts does not apply to a backend that is [artifact.Identified].
func concurrentPuts(t *testing.T, b artifact.Backend) {
	if _, ok := b.(artifact.Identified); ok {
		return
	}
	const writers = 8
	var (
		wg   sync.WaitGroup
		errs [writers]error
	)
	for i := range writers {
		wg.Go(func() {
			errs[i] = b.Put(t.Context(), "one/k", "text/plain", bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 1000)))
		})
	}
	wg.Wait()
	got := get(t, b, "one/k")
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil:
			winners++
			if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 1000)) {
				t.Errorf("the put of writer %d succeeded, but the content is that of another", i)
			}
		case !errors.Is(err, artifact.ErrExists):
			t.Errorf("writer %d: %v, want nil or ErrExists", i, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d puts succeeded, want 1", winners)
	}
}

// unclosed is a backend that the test closes, not the store.
type unclosed struct{ artifact.Backend }

func (unclosed) Close() error { return nil }

func identity(t *testing.T, b artifact.Backend) {
	view := artifact.Backend(unclosed{b})
	if id, ok := b.(artifact.Identified); ok {
		view = struct {
			unclosed
			artifact.Identified
		}{unclosed{b}, id}
	}
	const openers = 8
	var (
		wg  sync.WaitGroup
		ids [openers]string
	)
	for i := range openers {
		wg.Go(func() {
			s, err := artifact.New(t.Context(), view)
			if err != nil {
				t.Errorf("new: %v", err)
				return
			}
			ids[i] = s.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("one store has the ids %q", ids)
		}
	}
}

func put(t *testing.T, b artifact.Backend, key string, content []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, "application/octet-stream", bytes.NewReader(content)); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func get(t *testing.T, b artifact.Backend, key string) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return content
}

func keys(t *testing.T, b artifact.Backend, prefix string) []string {
	t.Helper()
	var got []string
	for o, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		got = append(got, o.Key)
	}
	slices.Sort(got)
	return got
}
