// Package idletimeout ends a transfer that stands still. A whole transfer may
// take as long as it needs, so a deadline does not fit; each step of it, such as
// one Read, has a limit of its own. The time between two steps belongs to the
// caller and is not counted.
//
//	ctx, limit := idletimeout.New(ctx, 2*time.Minute)
//	defer limit.Stop()
//	var r io.ReadCloser
//	err := limit.Do(func() (err error) { r, err = open(ctx); return err })
//
// A step that takes too long ends the context, and its error is [ErrIdle].
package idletimeout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// ErrIdle means that a step of a transfer took longer than its limit.
var ErrIdle = errors.New("the transfer stands still")

// Limit is the limit of each step of one transfer. Its steps follow one another.
type Limit struct {
	limit  time.Duration
	cancel context.CancelCauseFunc
	fired  atomic.Bool
}

// New returns a context for a transfer, and the limit of its steps. Stop has to
// be called in the end; it ends the context.
func New(ctx context.Context, limit time.Duration) (context.Context, *Limit) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Limit{limit: limit, cancel: cancel}
}

// Do runs a step.
func (l *Limit) Do(step func() error) error {
	timer := time.AfterFunc(l.limit, func() {
		l.fired.Store(true)
		l.cancel(ErrIdle)
	})
	defer timer.Stop()
	err := step()
	if err != nil && l.fired.Load() {
		return fmt.Errorf("%w for %s: %w", ErrIdle, l.limit, err)
	}
	return err
}

// Stop ends the context of the transfer.
func (l *Limit) Stop() { l.cancel(nil) }

// Reader returns r with each Read as a step. Close stops the limit as well.
func (l *Limit) Reader(r io.ReadCloser) io.ReadCloser { return &reader{limit: l, inner: r} }

type reader struct {
	limit *Limit
	inner io.ReadCloser
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (n int, err error) {
	err = r.limit.Do(func() (err error) {
		n, err = r.inner.Read(p)
		return err
	})
	return n, err
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	defer r.limit.Stop()
	return r.inner.Close()
}

// Writer returns w with each Write as a step.
func (l *Limit) Writer(w io.Writer) io.Writer { return &writer{limit: l, inner: w} }

type writer struct {
	limit *Limit
	inner io.Writer
}

// Write implements [io.Writer].
func (w *writer) Write(p []byte) (n int, err error) {
	err = w.limit.Do(func() (err error) {
		n, err = w.inner.Write(p)
		return err
	})
	return n, err
}
