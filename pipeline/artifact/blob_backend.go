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

// partSize is the number of bytes of an upload that a driver buffers. S3
// accepts 10,000 parts, so this size allows objects of 80 GiB.
const partSize = 8 << 20

// bucketBackend stores objects in a bucket of gocloud.dev/blob.
type bucketBackend struct {
	bucket *blob.Bucket
}

// BucketBackend returns a backend that stores objects in a bucket. Closing the
// backend closes the bucket.
func BucketBackend(b *blob.Bucket) Backend { return &bucketBackend{bucket: b} }

func (b *bucketBackend) Close() error { return b.bucket.Close() }

func (b *bucketBackend) Put(ctx context.Context, key, mediaType string, r io.Reader) (err error) {
	// Drivers detect an existing key only at the end of an upload. Checking
	// first avoids sending the whole content for nothing.
	switch exists, err := b.bucket.Exists(ctx, key); {
	case err != nil:
		return err
	case exists:
		return ErrExists
	}
	// Closing a writer whose context is cancelled discards the object.
	writeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.bucket.NewWriter(writeCtx, key, &blob.WriterOptions{
		ContentType:                 mediaType,
		DisableContentTypeDetection: true,
		IfNotExist:                  true,
		BufferSize:                  partSize,
	})
	if err != nil {
		return bucketError(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		cancel()
		_ = w.Close() // returns only that the context was cancelled
		return bucketError(err)
	}
	return bucketError(w.Close())
}

func (b *bucketBackend) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, bucketError(err)
	}
	return r, nil
}

func (b *bucketBackend) Attributes(ctx context.Context, key string) (Object, error) {
	a, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return Object{}, bucketError(err)
	}
	return Object{Key: key, Size: a.Size, ModTime: a.ModTime}, nil
}

func (b *bucketBackend) Delete(ctx context.Context, key string) error {
	return bucketError(b.bucket.Delete(ctx, key))
}

func (b *bucketBackend) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
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

// bucketError translates an error of gocloud.dev to the errors of [Backend].
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
