package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// digestReader computes the digest and the size of everything read through it,
// and counts the bytes as progress of the job of its context.
type digestReader struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash
	size int64
	err  error // the error of r, except io.EOF
}

func newDigestReader(ctx context.Context, r io.Reader) *digestReader {
	return &digestReader{ctx: ctx, r: r, hash: sha256.New()}
}

func (d *digestReader) Read(p []byte) (int, error) {
	if err := context.Cause(d.ctx); err != nil {
		return 0, err
	}
	n, err := d.r.Read(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	progress.Advance(d.ctx, int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

func (d *digestReader) sum() string { return hex.EncodeToString(d.hash.Sum(nil)) }

// Verify returns a reader of r that returns a [CorruptError] in place of
// io.EOF if the content differs from ref. It returns at most ref.Size bytes.
// Closing it closes r; closing it before the end verifies nothing.
func Verify(ctx context.Context, ref events.Reference, r io.ReadCloser) io.ReadCloser {
	return &verifyingReader{
		ref: ref,
		// One byte more than expected is enough to detect a longer object.
		content: newDigestReader(ctx, io.LimitReader(r, ref.Size+1)),
		closer:  r,
	}
}

type verifyingReader struct {
	ref     events.Reference
	content *digestReader
	closer  io.Closer
	err     error // the first error, returned again by all later Reads
}

func (v *verifyingReader) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.content.Read(p)
	if excess := v.content.size - v.ref.Size; excess > 0 {
		v.err = v.corrupt("")
		return n - int(excess), v.err
	}
	if errors.Is(err, io.EOF) {
		err = v.compare()
	}
	if v.content.err != nil {
		err = unavailable(v.content.ctx, err)
	}
	v.err = err
	return n, err
}

// compare returns io.EOF if the content that was read is what ref describes.
func (v *verifyingReader) compare() error {
	if v.content.size != v.ref.Size {
		return v.corrupt("")
	}
	if sum := v.content.sum(); sum != v.ref.SHA256 {
		return v.corrupt(sum)
	}
	return io.EOF
}

func (v *verifyingReader) corrupt(sum string) error {
	return &CorruptError{
		Key:        v.ref.Key,
		WantSize:   v.ref.Size,
		HaveSize:   v.content.size,
		WantSHA256: v.ref.SHA256,
		HaveSHA256: sum,
	}
}

func (v *verifyingReader) Close() error { return v.closer.Close() }
