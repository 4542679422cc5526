package progress

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// Activity is a stage, or a wait, inside what a job does. The methods of a nil
// Activity do nothing.
type Activity struct {
	monitor  *Monitor
	stage    Stage // empty for a wait
	waitsFor string
	limit    time.Duration // of a wait

	counted atomic.Int64 // bytes, rows, tokens and steps
	steps   atomic.Int64
	doing   atomic.Pointer[deed] // what was begun last and is not over; nil: nothing was named
}

// deed is something that an activity does at the moment, such as "reading rows.jsonl".
type deed struct {
	what  string
	outer *deed // what it is a part of, or was begun before it
	over  atomic.Bool
}

// begin names what the activity does, until end is called.
func (a *Activity) begin(what string) (end func()) {
	d := &deed{what: what}
	for {
		d.outer = a.doing.Load()
		if a.doing.CompareAndSwap(d.outer, d) {
			break
		}
	}
	return func() {
		d.over.Store(true)
		for top := a.doing.Load(); top != nil && top.over.Load(); top = a.doing.Load() {
			a.doing.CompareAndSwap(top, top.outer)
		}
	}
}

// Advance counts n bytes, rows or tokens.
func (a *Activity) Advance(n int64) {
	if a != nil {
		a.counted.Add(n)
	}
}

// End ends the activity. It may be called twice.
func (a *Activity) End() {
	if a != nil {
		a.monitor.pop(a)
	}
}

// carried is what a context carries: the monitor of a job, and the activity
// that counts what is done under the context; nil for the job's own stage.
type carried struct {
	monitor  *Monitor
	activity *Activity
}

type contextKey struct{}

func from(ctx context.Context) carried {
	c, _ := ctx.Value(contextKey{}).(carried)
	return c
}

// With returns a context under which progress is counted by a monitor.
func With(ctx context.Context, m *Monitor) context.Context {
	return context.WithValue(ctx, contextKey{}, carried{monitor: m})
}

// Of returns the monitor that a context carries; nil without one.
func Of(ctx context.Context) *Monitor { return from(ctx).monitor }

// Enter opens a stage inside what the job of a context does. It ends with
// [Activity.End]; what is counted under the context that Enter returns counts
// for it.
func Enter(ctx context.Context, s Stage) (context.Context, *Activity) {
	m := from(ctx).monitor
	if m == nil {
		return ctx, nil
	}
	a := m.push(&Activity{stage: s})
	return context.WithValue(ctx, contextKey{}, carried{monitor: m, activity: a}), a
}

// Wait announces that the job of a context waits for something, for so long at
// most; 0: without a limit. The wait ends with [Activity.End].
func Wait(ctx context.Context, waitsFor string, limit time.Duration) *Activity {
	m := from(ctx).monitor
	if m == nil {
		return nil
	}
	return m.push(&Activity{waitsFor: waitsFor, limit: limit})
}

// Advance counts n bytes, rows or tokens for what is done under a context.
func Advance(ctx context.Context, n int64) {
	c := from(ctx)
	if c.activity != nil {
		c.activity.Advance(n)
		return
	}
	c.monitor.Advance(n)
}

// Doing names what is done under a context, such as "reading rows.jsonl", so that a
// stall can say what hangs. It lasts until end is called, which may be called twice.
func Doing(ctx context.Context, what string) (end func()) {
	c := from(ctx)
	if c.monitor == nil {
		return func() {}
	}
	a := c.activity
	if a == nil {
		a = c.monitor.job.Load()
	}
	return a.begin(what)
}

// Reader returns a reader of r that counts bytes.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	if from(ctx).monitor == nil {
		return r
	}
	return countingReader{ctx, r}
}

type countingReader struct {
	ctx context.Context
	r   io.Reader
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	Advance(c.ctx, int64(n))
	return n, err
}

// Polled returns a context that counts each call of its Err. Code that knows
// nothing of this package, and asks its context once for each token or batch,
// then shows that it goes on.
func Polled(ctx context.Context) context.Context { return polledContext{ctx} }

type polledContext struct{ context.Context }

func (p polledContext) Err() error {
	Advance(p.Context, 1)
	return p.Context.Err()
}
