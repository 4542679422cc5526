package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/tunebus/tunebus/events"
)

// meter digests and counts what is read through it.
type meter struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash
	size int64
	err  error // what r failed with
}

func newMeter(ctx context.Context, r io.Reader) *meter {
	return &meter{ctx: ctx, r: r, hash: sha256.New()}
}

func (m *meter) Read(p []byte) (int, error) {
	if err := context.Cause(m.ctx); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.hash.Write(p[:n])
	m.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return n, err
}

func (m *meter) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }

// verifier reads an object and answers a [CorruptError] in place of io.EOF if
// the object is not what ref says. It never hands out more than ref.Size bytes.
type verifier struct {
	ref    events.Reference
	m      *meter
	closer io.Closer
	err    error // the answer to every Read after the last
}

func newVerifier(ctx context.Context, ref events.Reference, r io.ReadCloser) *verifier {
	// One byte more than expected is enough to see that there is more.
	return &verifier{ref: ref, m: newMeter(ctx, io.LimitReader(r, ref.Size+1)), closer: r}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.m.Read(p)
	if excess := v.m.size - v.ref.Size; excess > 0 {
		v.err = v.corrupt("")
		return n - int(excess), v.err
	}
	if errors.Is(err, io.EOF) {
		err = v.verdict()
	}
	if v.m.err != nil {
		err = unavailable(v.m.ctx, err)
	}
	v.err = err
	return n, err
}

func (v *verifier) verdict() error {
	if v.m.size != v.ref.Size {
		return v.corrupt("")
	}
	if sum := v.m.sum(); sum != v.ref.SHA256 {
		return v.corrupt(sum)
	}
	return io.EOF
}

func (v *verifier) corrupt(sum string) error {
	return &CorruptError{
		Key: v.ref.Key, WantSize: v.ref.Size, HaveSize: v.m.size,
		WantSHA256: v.ref.SHA256, HaveSHA256: sum,
	}
}

// Close implements io.Closer. Closing before the end verifies nothing.
func (v *verifier) Close() error { return v.closer.Close() }
