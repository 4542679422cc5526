package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
)

// bucketLimits are the limits of the requests to a bucket: the drivers have
// none, so that a server that accepts a connection and says nothing would hold
// its client for ever.
type bucketLimits struct {
	// call is the limit of a request without content, read that of one Read, and
	// write that of one Write or of the end of an upload: the driver then waits
	// for up to some parts of partSize.
	call, read, write time.Duration
}

func defaultLimits() bucketLimits {
	return bucketLimits{call: time.Minute, read: 2 * time.Minute, write: 10 * time.Minute}
}

// partSize is the number of bytes of an upload that a driver buffers. S3
// accepts 10,000 parts, so this size allows objects of 80 GiB.
const partSize = 8 << 20

// bucketBackend stores objects in a bucket of gocloud.dev/blob.
type bucketBackend struct {
	bucket    *blob.Bucket
	limits    bucketLimits
	checksums ServerChecksums // empty: the server computes none
}

// BucketBackend returns a backend that stores objects in a bucket. Closing the
// backend closes the bucket.
func BucketBackend(b *blob.Bucket) Backend { return &bucketBackend{bucket: b, limits: defaultLimits()} }

func (b *bucketBackend) Close() error { return b.bucket.Close() }

func (b *bucketBackend) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	// Drivers detect an existing key only at the end of an upload. Checking
	// first avoids sending the whole content for nothing.
	call, done := context.WithTimeout(ctx, b.limits.call)
	exists, err := b.bucket.Exists(call, key)
	done()
	switch {
	case err != nil:
		return err
	case exists:
		return ErrExists
	}
	// Closing a writer whose context is cancelled discards the object.
	writeCtx, limit := idletimeout.New(ctx, b.limits.write)
	defer limit.Stop()
	w, err := b.bucket.NewWriter(writeCtx, key, &blob.WriterOptions{
		ContentType:                 mediaType,
		DisableContentTypeDetection: true,
		IfNotExist:                  true,
		BufferSize:                  partSize,
	})
	if err != nil {
		return bucketError(err)
	}
	if _, err := io.Copy(limit.Writer(w), r); err != nil {
		limit.Stop()
		_ = w.Close() // returns only that the context was cancelled
		return bucketError(err)
	}
	return bucketError(limit.Do(w.Close))
}

func (b *bucketBackend) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	ctx, limit := idletimeout.New(ctx, b.limits.read)
	var r *blob.Reader
	err := limit.Do(func() (err error) {
		r, err = b.bucket.NewReader(ctx, key, nil)
		return err
	})
	if err != nil {
		limit.Stop()
		return nil, bucketError(err)
	}
	return limit.Reader(r), nil
}

func (b *bucketBackend) Attributes(ctx context.Context, key string) (Object, error) {
	ctx, done := context.WithTimeout(ctx, b.limits.call)
	defer done()
	a, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return Object{}, bucketError(err)
	}
	return Object{Key: key, Size: a.Size, ModTime: a.ModTime}, nil
}

func (b *bucketBackend) Delete(ctx context.Context, key string) error {
	ctx, done := context.WithTimeout(ctx, b.limits.call)
	defer done()
	return bucketError(b.bucket.Delete(ctx, key))
}

func (b *bucketBackend) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		it := b.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			page, done := context.WithTimeout(ctx, b.limits.call)
			o, err := it.Next(page)
			done()
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
