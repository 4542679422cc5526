package bustest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestObjectsConform runs the suite of all artifact stores over JetStream's
// Object Store.
func TestObjectsConform(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	n := 0
	buckets := make(chan string, 100)
	for range cap(buckets) {
		n++
		buckets <- fmt.Sprintf("bucket%d", n)
	}
	artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend { return b.objects(t, <-buckets) })
}

func (b *bench) objects(t *testing.T, bucket string) *objectstore.Bucket {
	t.Helper()
	if err := objectstore.Create(t.Context(), b.bus, bucket, 64<<20); err != nil {
		t.Fatal(err)
	}
	o, err := objectstore.Open(t.Context(), b.bus, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// messages is how many messages a bucket's stream holds.
func (b *bench) messages(t *testing.T, bucket string) uint64 {
	t.Helper()
	s, err := b.js.Stream(t.Context(), "OBJ_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// TestObjectsAreTheObjectStores: the client library reads what we write, in
// parts of full length, and we read what it writes.
func TestObjectsAreTheObjectStores(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	o := b.objects(t, "shared")
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	short := io.MultiReader(bytes.NewReader(body[:7]), bytes.NewReader(body[7:70_001]), bytes.NewReader(body[70_001:]))
	if err := o.Put(t.Context(), "runs/r/a file", "text/plain", short); err != nil {
		t.Fatal(err)
	}
	store, err := b.js.ObjectStore(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.GetBytes(t.Context(), "runs/r/a file")
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("the library reads %d bytes, %v", len(got), err)
	}
	info, err := store.GetInfo(t.Context(), "runs/r/a file")
	if err != nil || info.Chunks != 8 {
		t.Errorf("%d parts, want 8 (%v)", info.Chunks, err)
	}
	if _, err := store.PutString(t.Context(), "theirs", "hello"); err != nil {
		t.Fatal(err)
	}
	r, err := o.Get(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "hello" {
		t.Errorf("we read %q, %v", text, err)
	}
}

// TestObjectsLeaveNothing: neither a Put that fails or is cancelled nor a
// deleted object leaves a message in the stream.
func TestObjectsLeaveNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	o := b.objects(t, "clean")
	broken := errors.New("the disk is gone")
	failing := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), failingReader{broken})
	if err := o.Put(t.Context(), "failing", "text/plain", failing); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelling := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), readerFunc(func([]byte) (int, error) { cancel(); return 1, nil }), strings.NewReader(strings.Repeat("x", 1<<20)))
	if err := o.Put(ctx, "cancelled", "text/plain", cancelling); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Put: %v", err)
	}
	if err := o.Put(t.Context(), "whole", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20))); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), "whole"); err != nil {
		t.Fatal(err)
	}
	if n := b.messages(t, "clean"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	// A deleted name may be used again.
	if err := o.Put(t.Context(), "whole", "text/plain", strings.NewReader("again")); err != nil {
		t.Error(err)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestDamagedObjectIsNoticed: a reader fails at the end of what was changed.
func TestDamagedObjectIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	o := b.objects(t, "damaged")
	if err := o.Put(t.Context(), "a", "text/plain", strings.NewReader(strings.Repeat("x", 300<<10))); err != nil {
		t.Fatal(err)
	}
	s, err := b.js.Stream(t.Context(), "OBJ_damaged")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := o.Get(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("%d bytes were read without a complaint", n)
	}
}

func TestObjectsBind(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OBJ_many", Subjects: []string{"$O.many.C.>", "$O.many.M.>"}, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := objectstore.Open(t.Context(), b.bus, "many"); err != nil {
		t.Errorf("one server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := objectstore.Open(ctx, b.bus, "none"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

// BenchmarkObjects puts and gets 16 MiB.
func BenchmarkObjects(b *testing.B) {
	const size = 16 << 20
	s := bustest.Start(b, embedded.Options{Dir: b.TempDir(), RelaxedSync: true})
	c := bustest.Connect(b, s)
	if err := objectstore.Create(b.Context(), c, "bench", 8<<30); err != nil {
		b.Fatal(err)
	}
	o, err := objectstore.Open(b.Context(), c, "bench")
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), size)
	b.Run("put", func(b *testing.B) {
		b.SetBytes(size)
		n := 0
		for b.Loop() {
			n++
			if err := o.Put(b.Context(), fmt.Sprintf("put%d", n), "x/y", bytes.NewReader(body)); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := o.Put(b.Context(), "get", "x/y", bytes.NewReader(body)); err != nil {
		b.Fatal(err)
	}
	b.Run("get", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			r, err := o.Get(b.Context(), "get")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			_ = r.Close()
		}
	})
}
