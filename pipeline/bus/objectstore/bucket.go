package objectstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// errReplicated means that a bucket has replicas on several servers.
var errReplicated = errors.New("a bucket on several servers is not supported for artifacts; use s3://, gs:// or azblob://, or one replica")

// Bucket implements [artifact.Backend] and [artifact.Collectable].
type Bucket struct {
	conn   *conn.Conn
	name   string
	store  jetstream.ObjectStore
	stored streams.Reader
	log    *slog.Logger
}

// Create creates a bucket, or leaves it as it is.
func Create(ctx context.Context, c *conn.Conn, bucket string, maxBytes int64) error {
	cfg := jetstream.ObjectStoreConfig{Bucket: bucket, Storage: jetstream.FileStorage, Replicas: 1, MaxBytes: maxBytes}
	err := c.Request(ctx, conn.ApplyBucket, func(ctx context.Context, js jetstream.JetStream) error {
		// A server counts the space of a bucket that it has a second time when
		// the bucket is created again, and may refuse that.
		if _, err := js.ObjectStore(ctx, bucket); err == nil {
			return nil
		}
		_, err := js.CreateObjectStore(ctx, cfg)
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("set up bucket %s: %w", bucket, err)
	}
	return nil
}

// Open binds to a bucket. It waits until ctx ends for a bucket that does not
// exist yet, and for a server that does not answer, and logs that now and then.
// The error wraps errReplicated if the bucket has replicas.
func Open(ctx context.Context, c *conn.Conn, bucket string) (*Bucket, error) {
	b := &Bucket{conn: c, name: bucket, stored: streams.New(c), log: c.Logger()}
	replicas := 0
	for try := 0; ; try++ {
		err := c.Request(ctx, conn.BindObjects, func(ctx context.Context, js jetstream.JetStream) (err error) {
			if b.store, err = js.ObjectStore(ctx, bucket); err != nil {
				return err
			}
			s, err := js.Stream(ctx, b.stream())
			if err == nil {
				replicas = s.CachedInfo().Config.Replicas
			}
			return err
		})
		if err == nil {
			break
		}
		missing := errors.Is(err, jetstream.ErrBucketNotFound)
		if !missing && !conn.IsUnanswered(err) || ctx.Err() != nil {
			return nil, fmt.Errorf("bucket %s: %w", bucket, err)
		}
		if missing && try%20 == 2 {
			b.log.Warn("waiting for a bucket; \"tunebus setup\" creates it", "bucket", bucket)
		} else if !missing {
			b.log.Warn("NATS does not answer; asking again for a bucket", "bucket", bucket, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	if replicas > 1 {
		return nil, fmt.Errorf("bucket %s: %w", bucket, errReplicated)
	}
	return b, nil
}

// Close does nothing: the connection belongs to its owner.
func (b *Bucket) Close() error { return nil }

// stream is the stream in which the bucket lies. Source of it and of the
// subjects: NATS ADR-20.
func (b *Bucket) stream() string { return "OBJ_" + b.name }

// metaSubject is where the description of an object lies.
func (b *Bucket) metaSubject(key string) string {
	return "$O." + b.name + ".M." + base64.URLEncoding.EncodeToString([]byte(key))
}

// chunkSubject is where the chunks of an object lie.
func (b *Bucket) chunkSubject(nuid string) string { return "$O." + b.name + ".C." + nuid }

// Put implements [artifact.Backend]. It fails at once while the connection is
// down: the caller decides whether to try again.
func (b *Bucket) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if !b.conn.Connected() {
		return fmt.Errorf("object %s: %w", key, nats.ErrDisconnected)
	}
	if _, err := b.info(ctx, key); err == nil {
		return fmt.Errorf("object %s: %w", key, artifact.ErrExists) // before all of it is sent
	}
	if err := newUpload(b, key, mediaType).run(ctx, r); err != nil {
		return fmt.Errorf("object %s: %w", key, err)
	}
	return nil
}

// Get implements [artifact.Backend]. The reader fails at its end if the content
// does not have the length and the digest of the description.
func (b *Bucket) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	info, err := b.info(ctx, key)
	if err != nil {
		return nil, explain(b.name, key, err)
	}
	return newObjectReader(ctx, b, info), nil
}

// Attributes implements [artifact.Backend].
func (b *Bucket) Attributes(ctx context.Context, key string) (artifact.Object, error) {
	info, err := b.info(ctx, key)
	if err != nil {
		return artifact.Object{}, explain(b.name, key, err)
	}
	return object(info), nil
}

// Delete implements [artifact.Backend]. The description goes first, so that no
// reader finds an object without its chunks.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	info, err := b.info(ctx, key)
	if err != nil {
		return explain(b.name, key, err)
	}
	for _, subject := range []string{b.metaSubject(key), b.chunkSubject(info.NUID)} {
		if err := b.purge(ctx, subject); err != nil {
			return explain(b.name, key, err)
		}
	}
	return nil
}

func (b *Bucket) info(ctx context.Context, key string) (info *jetstream.ObjectInfo, err error) {
	err = repeat(ctx, func() error {
		return b.conn.Request(ctx, conn.ObjectInfo, func(ctx context.Context, _ jetstream.JetStream) error {
			info, err = b.store.GetInfo(ctx, key)
			return err
		})
	})
	return info, err
}

func (b *Bucket) purge(ctx context.Context, subject string) error {
	return repeat(ctx, func() error {
		return b.conn.Request(ctx, conn.Purge, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, b.stream())
			if err != nil {
				return err
			}
			return s.Purge(ctx, jetstream.WithPurgeSubject(subject))
		})
	})
}

// repeat makes a request that may be repeated, up to three times while it gets
// no answer: one lost answer does not make the store unavailable.
func repeat(ctx context.Context, request func() error) error {
	const tries = 3
	for try := 1; ; try++ {
		err := request()
		if err == nil || try == tries || ctx.Err() != nil || !conn.IsUnanswered(err) {
			return err
		}
	}
}

func object(info *jetstream.ObjectInfo) artifact.Object {
	return artifact.Object{Key: info.Name, Size: int64(info.Size), ModTime: info.ModTime}
}

func explain(bucket, key string, err error) error {
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		err = fmt.Errorf("%w: %w", artifact.ErrNotFound, err)
	}
	return fmt.Errorf("object %s of bucket %s: %w", key, bucket, err)
}
