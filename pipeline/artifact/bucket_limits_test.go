package artifact

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
)

// silentBucket is a driver of a server that accepts every request and never
// answers one. What is not overridden is not called.
type silentBucket struct {
	driver.Bucket
	empty bool // it answers that it has no object
}

// silentObject is the body of a silent transfer.
type silentObject struct{ ctx context.Context }

func wait(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func (silentBucket) Close() error            { return nil }
func (silentBucket) ErrorAs(error, any) bool { return false }
func (silentBucket) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return gcerrors.NotFound
	}
	return gcerrors.Unknown
}

func (b silentBucket) Attributes(ctx context.Context, _ string) (*driver.Attributes, error) {
	if b.empty {
		return nil, io.ErrUnexpectedEOF // stands for: there is none
	}
	return nil, wait(ctx)
}
func (silentBucket) Delete(ctx context.Context, _ string, _ *driver.DeleteOptions) error {
	return wait(ctx)
}
func (silentBucket) ListPaged(ctx context.Context, _ *driver.ListOptions) (*driver.ListPage, error) {
	return nil, wait(ctx)
}

func (silentBucket) NewRangeReader(ctx context.Context, _ string, _, _ int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	return silentObject{ctx}, nil
}

func (silentBucket) NewTypedWriter(ctx context.Context, _, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return silentObject{ctx}, nil
}

func (o silentObject) Read([]byte) (int, error)             { return 0, wait(o.ctx) }
func (o silentObject) Write([]byte) (int, error)            { return 0, wait(o.ctx) }
func (o silentObject) Close() error                         { return nil }
func (o silentObject) As(any) bool                          { return false }
func (o silentObject) Attributes() *driver.ReaderAttributes { return &driver.ReaderAttributes{} }

// TestBucketRequestsEnd: each request to a bucket whose server never answers ends
// after its own limit, without a deadline of the caller.
func TestBucketRequestsEnd(t *testing.T) {
	t.Parallel()
	limits := defaultLimits()
	for name, c := range map[string]struct {
		limit time.Duration
		idle  bool
		call  func(ctx context.Context, b Backend) error
	}{
		"attributes": {limits.call, false, func(ctx context.Context, b Backend) error {
			_, err := b.Attributes(ctx, "k")
			return err
		}},
		"delete": {limits.call, false, func(ctx context.Context, b Backend) error { return b.Delete(ctx, "k") }},
		"list": {limits.call, false, func(ctx context.Context, b Backend) error {
			for _, err := range b.List(ctx, "") {
				return err
			}
			return nil
		}},
		"exists": {limits.call, false, func(ctx context.Context, b Backend) error {
			return b.Put(ctx, "k", "text/plain", strings.NewReader("x"))
		}},
		"read": {limits.read, true, func(ctx context.Context, b Backend) error {
			r, err := b.Get(ctx, "k")
			if err != nil {
				return err
			}
			_, err = io.ReadAll(r)
			return errors.Join(err, r.Close())
		}},
		"write": {limits.write, true, func(ctx context.Context, b Backend) error {
			return b.Put(ctx, "k", "text/plain", strings.NewReader("x"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := BucketBackend(blob.NewBucket(silentBucket{empty: name == "write"}))
				begin := time.Now()
				err := c.call(t.Context(), b)
				if took := time.Since(begin); err == nil || took != c.limit {
					t.Errorf("%v after %s, want an error after %s", err, took, c.limit)
				}
				if c.idle != errors.Is(err, idletimeout.ErrIdle) {
					t.Errorf("the error is %v", err)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
