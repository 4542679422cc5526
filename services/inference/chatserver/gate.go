package chatserver

import (
	"sync"
	"time"
)

// gate bounds how much of something is taken at once: requests, or bytes of them.
type gate struct {
	limit int64

	mu    sync.Mutex
	taken int64
}

// enter takes so much, or nothing. leave gives it back; it may be called again.
func (g *gate) enter(n int64) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken+n > g.limit {
		return func() {}, false
	}
	g.taken += n
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.taken -= n
	}), true
}

// now is how much is taken.
func (g *gate) now() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// pace knows how long answers take, and so when it is worth asking again.
type pace struct {
	mu   sync.Mutex
	mean time.Duration // the newest ones count most
}

// The bounds of what a client is told to wait.
const (
	shortWait = 50 * time.Millisecond
	longWait  = time.Minute
)

// add counts an answer.
func (p *pace) add(took time.Duration) {
	const weight = 8
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 {
		p.mean = took
	}
	p.mean += (took - p.mean) / weight
}

// wait is how long it takes until a place is likely to be free, where so many answers
// are made at once.
func (p *pace) wait(parallel int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(max(p.mean/time.Duration(max(parallel, 1)), shortWait), longWait)
}
