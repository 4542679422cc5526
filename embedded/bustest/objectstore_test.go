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

// TestObjectStoreConformance runs the suite of all artifact stores over JetStream's
// Object Store.
func TestObjectStoreConformance(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	n := 0
	buckets := make(chan string, 100)
	for range cap(buckets) {
		n++
		buckets <- fmt.Sprintf("bucket%d", n)
	}
	artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend { return s.createBucket(t, <-buckets) })
}

// createBucket creates a bucket of 64 MiB and opens it.
func (s *testServer) createBucket(t *testing.T, bucket string) *objectstore.Bucket {
	t.Helper()
	if err := objectstore.Create(t.Context(), s.conn, bucket, 64<<20); err != nil {
		t.Fatal(err)
	}
	o, err := objectstore.Open(t.Context(), s.conn, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestObjectStoreCreateAgain: a bucket that takes most of the server's space can
// be created again, as at each start.
func TestObjectStoreCreateAgain(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, embedded.Options{MaxBytes: 100 << 20})
	c := bustest.Connect(t, s)
	for range 2 {
		if err := objectstore.Create(t.Context(), c, "artifacts", 64<<20); err != nil {
			t.Fatal(err)
		}
	}
}

// bucketMessages counts the messages in the stream of a bucket.
func (s *testServer) bucketMessages(t *testing.T, bucket string) uint64 {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), "OBJ_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// TestObjectStoreFormat: the client library reads the objects of objectstore,
// whose chunks are full, and objectstore reads the objects of the client library.
func TestObjectStoreFormat(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	o := s.createBucket(t, "shared")
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	short := io.MultiReader(bytes.NewReader(body[:7]), bytes.NewReader(body[7:70_001]), bytes.NewReader(body[70_001:]))
	if err := o.Put(t.Context(), "runs/r/a file", "text/plain", short); err != nil {
		t.Fatal(err)
	}
	store, err := s.js.ObjectStore(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.GetBytes(t.Context(), "runs/r/a file")
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("the client library reads %d bytes, %v", len(got), err)
	}
	info, err := store.GetInfo(t.Context(), "runs/r/a file")
	if err != nil || info.Chunks != 8 {
		t.Errorf("%d chunks, want 8 (%v)", info.Chunks, err)
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
		t.Errorf("objectstore reads %q, %v", text, err)
	}
}

// TestObjectStoreLeavesNoChunks: a failed Put, a cancelled Put and a deleted object
// leave no message in the stream.
func TestObjectStoreLeavesNoChunks(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	o := s.createBucket(t, "clean")
	broken := errors.New("disk error")
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
	if n := s.bucketMessages(t, "clean"); n != 0 {
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

// TestObjectStoreGetDetectsDamage: the reader of an object that was changed fails
// at its end.
func TestObjectStoreGetDetectsDamage(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	o := s.createBucket(t, "damaged")
	if err := o.Put(t.Context(), "a", "text/plain", strings.NewReader(strings.Repeat("x", 300<<10))); err != nil {
		t.Fatal(err)
	}
	stream, err := s.js.Stream(t.Context(), "OBJ_damaged")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 2); err != nil {
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
		t.Errorf("%d bytes were read without an error", n)
	}
}

func TestObjectStoreOpen(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OBJ_many", Subjects: []string{"$O.many.C.>", "$O.many.M.>"}, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := objectstore.Open(t.Context(), s.conn, "many"); err != nil {
		t.Errorf("one server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := objectstore.Open(ctx, s.conn, "none"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("a missing bucket: %v", err)
	}
}

// BenchmarkObjectStore puts and gets 16 MiB.
func BenchmarkObjectStore(b *testing.B) {
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
