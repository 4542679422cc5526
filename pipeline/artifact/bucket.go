package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// partSize is the part of an upload that a driver holds in memory, bytes; S3
// takes 10,000 parts, so this allows objects of 80 GiB.
const partSize = 8 << 20

// bucket keeps objects in a bucket of gocloud.dev/blob.
type bucket struct {
	bucket *blob.Bucket
}

// BucketBackend is a backend that keeps objects in a bucket, and owns it.
func BucketBackend(b *blob.Bucket) Backend { return &bucket{bucket: b} }

func (b *bucket) Close() error { return b.bucket.Close() }

func (b *bucket) Put(ctx context.Context, key, mediaType string, r io.Reader) (err error) {
	// Drivers notice at the end of an upload that the key exists; asking
	// first saves sending it.
	switch exists, err := b.bucket.Exists(ctx, key); {
	case err != nil:
		return err
	case exists:
		return ErrExists
	}
	// Closing a writer whose context has ended abandons the object.
	writing, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.bucket.NewWriter(writing, key, &blob.WriterOptions{
		ContentType: mediaType, DisableContentTypeDetection: true,
		IfNotExist: true, BufferSize: partSize,
	})
	if err != nil {
		return bucketError(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		cancel()
		_ = w.Close() // answers that the context ended
		return bucketError(err)
	}
	return bucketError(w.Close())
}

func (b *bucket) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, bucketError(err)
	}
	return r, nil
}

func (b *bucket) Attributes(ctx context.Context, key string) (Object, error) {
	a, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return Object{}, bucketError(err)
	}
	return Object{Key: key, Size: a.Size, ModTime: a.ModTime}, nil
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	return bucketError(b.bucket.Delete(ctx, key))
}

func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		it := b.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			o, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Object{}, bucketError(err))
				return
			}
			if !yield(Object{Key: o.Key, Size: o.Size, ModTime: o.ModTime}, nil) {
				return
			}
		}
	}
}

func bucketError(err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case gcerrors.FailedPrecondition:
		if errors.Is(err, ErrExists) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}
