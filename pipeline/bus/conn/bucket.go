package conn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a key-value bucket. Each call is one request with its own limit.
type Bucket struct {
	conn *Conn
	name string
	kv   jetstream.KeyValue
}

// MissingBucketError means that the server answers and does not have the bucket.
type MissingBucketError struct{ Bucket string }

func (e *MissingBucketError) Error() string {
	return fmt.Sprintf(`the bucket %s is missing on the server; "tunebus setup" creates it`, e.Bucket)
}

// Unwrap returns the error of the client library.
func (*MissingBucketError) Unwrap() error { return jetstream.ErrBucketNotFound }

// Refusals of a bucket.
var (
	// ErrKeyNotFound means that the key holds no value.
	ErrKeyNotFound = jetstream.ErrKeyNotFound
	// ErrRevision means that the key has another revision than the caller
	// expects.
	ErrRevision = errors.New("the key has another revision")
)

// buckets remembers the buckets that were bound: binding is a request.
type buckets struct {
	mu    sync.Mutex
	bound map[string]*Bucket
}

// Bucket binds to a bucket; the second call for a name asks nothing of the
// server.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	if b := c.buckets.get(name); b != nil {
		return b, nil
	}
	b := &Bucket{conn: c, name: name}
	if err := b.bind(ctx); err != nil {
		return nil, err
	}
	c.buckets.put(name, b)
	return b, nil
}

// bind looks the bucket up on the server.
func (b *Bucket) bind(ctx context.Context) error {
	var kv jetstream.KeyValue
	err := b.conn.Request(ctx, BindBucket, func(ctx context.Context, js jetstream.JetStream) (err error) {
		kv, err = js.KeyValue(ctx, b.name)
		return err
	})
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return &MissingBucketError{Bucket: b.name}
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.name, err)
	}
	if b.kv == nil {
		b.kv = kv
	}
	return nil
}

// explained is the error of a request about a key. Nobody answers one about a bucket that was
// deleted after it was bound, so the server is asked then whether it is there.
func (b *Bucket) explained(ctx context.Context, err error) error {
	if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return err
	}
	if missing, ok := errors.AsType[*MissingBucketError](b.bind(ctx)); ok {
		return missing
	}
	return err
}

func (s *buckets) get(name string) *Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound[name]
}

func (s *buckets) put(name string, b *Bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil {
		s.bound = map[string]*Bucket{}
	}
	s.bound[name] = b
}

// Get returns the value of a key and its revision. The error is
// [ErrKeyNotFound] if the key holds none.
func (b *Bucket) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = b.conn.Request(ctx, GetKey, func(ctx context.Context, _ jetstream.JetStream) error {
		entry, err := b.kv.Get(ctx, key)
		if err == nil {
			value, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	return value, revision, b.explained(ctx, err)
}

// Create stores a key that holds no value. The error is [ErrRevision] if it
// holds one.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = b.conn.Request(ctx, PutKey, func(ctx context.Context, _ jetstream.JetStream) error {
		revision, err = b.kv.Create(ctx, key, value)
		return refusal(err)
	})
	return revision, b.explained(ctx, err)
}

// Put stores a value, whatever the key holds.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) error {
	err := b.conn.Request(ctx, PutKey, func(ctx context.Context, _ jetstream.JetStream) error {
		_, err := b.kv.Put(ctx, key, value)
		return err
	})
	return b.explained(ctx, err)
}

// Update stores a value if the key still has the revision; 0 is a key that was
// never there. The error is [ErrRevision] if it has another one.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = b.conn.Request(ctx, PutKey, func(ctx context.Context, _ jetstream.JetStream) error {
		next, err = b.kv.Update(ctx, key, value, revision)
		return refusal(err)
	})
	return next, b.explained(ctx, err)
}

// Delete removes a key if it still has the revision; 0 is any.
func (b *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	err := b.conn.Request(ctx, DeleteKey, func(ctx context.Context, _ jetstream.JetStream) error {
		return refusal(b.kv.Delete(ctx, key, jetstream.LastRevision(revision)))
	})
	return b.explained(ctx, err)
}

// Purge removes a key. What stays behind makes Update with revision 0 fail for
// the time of ttl.
func (b *Bucket) Purge(ctx context.Context, key string, ttl time.Duration) error {
	err := b.conn.Request(ctx, DeleteKey, func(ctx context.Context, _ jetstream.JetStream) error {
		return b.kv.Purge(ctx, key, jetstream.PurgeTTL(ttl))
	})
	return b.explained(ctx, err)
}

// refusal is [ErrRevision] where the server refused a write for the key's
// revision. A bucket with replicas answers with a code of its own while the
// write before it is in flight; the client library knows both.
func refusal(err error) error {
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return fmt.Errorf("%w: %w", ErrRevision, err)
	}
	return err
}
