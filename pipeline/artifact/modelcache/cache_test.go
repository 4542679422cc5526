package modelcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
)

func reference(text string) events.Reference {
	sum := sha256.Sum256([]byte(text))
	return events.Reference{Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}
}

// fetches is a store that counts how often each text was fetched.
type fetches struct {
	mu sync.Mutex
	of map[string]int
}

func (f *fetches) fetch(text string) func(context.Context, string) error {
	return func(_ context.Context, path string) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.of == nil {
			f.of = map[string]int{}
		}
		f.of[text]++
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o600)
	}
}

// place places a text and compares what is there.
func (f *fetches) place(t *testing.T, c *Cache, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deep", "file")
	if err := c.Place(t.Context(), reference(text), path, f.fetch(text)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("placed %q, %v; want %q", got, err, text)
	}
	return path
}

// cached is what the cache holds.
func cached(t *testing.T, c *Cache) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.dir, "files"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		text, err := os.ReadFile(c.file(e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return strings.Join(texts, " ")
}

// TestPlace: a file is fetched once, by several caches on one scratch folder, and
// opened in place.
func TestPlace(t *testing.T) {
	t.Parallel()
	scratch := t.TempDir()
	var f fetches
	a, b := f.place(t, New(scratch, 100), "model"), f.place(t, New(scratch, 100), "model")
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil || !os.SameFile(x, y) {
		t.Errorf("two copies: %v", err)
	}
	if f.of["model"] != 1 {
		t.Errorf("fetched %v", f.of)
	}
}

// TestEviction: files that were not used for the longest time go first, and what
// does not fit stays with its job alone. A cache of size 0 holds nothing.
func TestEviction(t *testing.T) {
	t.Parallel()
	var f fetches
	c := New(t.TempDir(), 10)
	first := f.place(t, c, "aaaa")
	f.place(t, c, "bbbb")
	f.place(t, c, "aaaa")
	f.place(t, c, "cccc")
	if got := cached(t, c); strings.Contains(got, "b") || len(got) != 9 {
		t.Errorf("the cache holds %q", got)
	}
	large := f.place(t, c, strings.Repeat("d", 11))
	if got := cached(t, c); got != "" {
		t.Errorf("the cache holds %q", got)
	}
	for path, want := range map[string]string{first: "aaaa", large: strings.Repeat("d", 11)} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("an eviction took %q away: %q, %v", want, got, err)
		}
	}
	none := New(t.TempDir(), 0)
	f.place(t, none, "none")
	f.place(t, none, "none")
	if _, err := os.Stat(none.dir); f.of["none"] != 2 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("fetched %v, %v", f.of, err)
	}
}

// TestDamage: a file of the cache that is not what it should be is fetched again,
// and what a killed worker left is no file.
func TestDamage(t *testing.T) {
	t.Parallel()
	var f fetches
	c := New(t.TempDir(), 100)
	f.place(t, c, "model")
	sum := reference("model").SHA256
	for _, text := range []string{"mOdel", "mod", "model and more", ""} {
		if err := os.Remove(c.file(sum)); err != nil { // the jobs' names lead to it, too
			t.Fatal(err)
		}
		if err := os.WriteFile(c.file(sum), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.place(t, c, "model")
	}
	left := c.fetching(reference("left").SHA256)
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, ".fetch-1"), []byte("le"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.place(t, c, "other")
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed worker left is there: %v", err)
	}
	if f.of["model"] != 5 {
		t.Errorf("fetched %v", f.of)
	}
}

// TestFailedFetch: a fetch that fails leaves nothing, and the next one succeeds.
func TestFailedFetch(t *testing.T) {
	t.Parallel()
	var f fetches
	c := New(t.TempDir(), 100)
	broken := errors.New("broken")
	path := filepath.Join(t.TempDir(), "file")
	err := c.Place(t.Context(), reference("model"), path, func(ctx context.Context, path string) error {
		return errors.Join(f.fetch("mo")(ctx, path), broken)
	})
	if _, statErr := os.Stat(path); !errors.Is(err, broken) || statErr == nil || cached(t, c) != "" {
		t.Errorf("a broken fetch: %v, %v; the cache holds %q", err, statErr, cached(t, c))
	}
	f.place(t, c, "model")
}

// TestConcurrentWorkers: many workers that want the same files at once fetch each
// once, as long as the cache has room; where it has none, each still gets what it
// wants.
func TestConcurrentWorkers(t *testing.T) {
	t.Parallel()
	for limit, once := range map[int64]bool{1000: true, 8: false} {
		scratch, jobs := t.TempDir(), t.TempDir()
		var f fetches
		var all sync.WaitGroup
		var n atomic.Int64
		for i := range 16 {
			c := New(scratch, limit)
			all.Go(func() {
				for k := range 6 {
					text := fmt.Sprint("model ", (i+k)%4)
					path := filepath.Join(jobs, fmt.Sprint(n.Add(1)))
					if err := c.Place(t.Context(), reference(text), path, f.fetch(text)); err != nil {
						t.Error(err)
					}
					if got, err := os.ReadFile(path); err != nil || string(got) != text {
						t.Errorf("placed %q, %v; want %q", got, err, text)
					}
				}
			})
		}
		all.Wait()
		total := 0
		for _, count := range f.of {
			total += count
		}
		if once && total != 4 {
			t.Errorf("fetched %v, want each once", f.of)
		}
		if got := cached(t, New(scratch, limit)); int64(len(strings.ReplaceAll(got, " model", "model"))) > limit && !once {
			t.Errorf("%d bytes in a cache of %d: %q", len(got), limit, got)
		}
	}
}

// TestWaitEndsWithItsContext: a worker that waits for another one's fetch does so
// no longer than its job lives.
func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := New(t.TempDir(), 100)
	fetching, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- c.Place(t.Context(), reference("model"), filepath.Join(t.TempDir(), "a"), func(ctx context.Context, path string) error {
			close(fetching)
			<-proceed
			var f fetches
			return f.fetch("model")(ctx, path)
		})
	}()
	<-fetching
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Place(ctx, reference("model"), filepath.Join(t.TempDir(), "b"), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it returned %v", err)
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
