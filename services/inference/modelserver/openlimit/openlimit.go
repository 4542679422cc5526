// Package openlimit bounds the calls to a server that are open at once: more while they
// succeed, and half as many when the server cannot keep up.
package openlimit

import (
	"context"
	"sync"
	"time"
)

const (
	// firstLimit is how many calls are open at first.
	firstLimit = 8
	// cutPause is how long a limit that was cut stays: the calls that are open then
	// fail for the same reason.
	cutPause = time.Second
)

// Limiter bounds the calls that are open at once. The bound grows while calls succeed,
// up to a maximum, and is halved when the server cannot keep up.
type Limiter struct {
	most  float64
	freed chan struct{} // holds a value once a slot may be free
	pause time.Duration

	mu    sync.Mutex
	limit float64
	open  int
	cutAt time.Time // zero: never
	peak  int
}

// New returns a limiter of so many calls at most.
func New(most int) *Limiter {
	return &Limiter{most: float64(most), limit: float64(min(firstLimit, most)), pause: cutPause, freed: make(chan struct{}, 1)}
}

// Take waits for a slot. One goroutine at a time may call it.
func (l *Limiter) Take(ctx context.Context) error {
	for {
		if l.tryTake() {
			return nil
		}
		select {
		case <-l.freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *Limiter) tryTake() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= int(l.limit) {
		return false
	}
	l.open++
	l.peak = max(l.peak, l.open)
	return true
}

// Free gives a slot back.
func (l *Limiter) Free() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// Succeed lets the bound grow: by one for each call until it was cut for the first
// time, then by one for each round of calls.
func (l *Limiter) Succeed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	step := 1.0
	if !l.cutAt.IsZero() {
		step = 1 / l.limit
	}
	l.limit = min(l.limit+step, l.most)
}

// Cut halves the bound, once for all calls that fail together.
func (l *Limiter) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.cutAt) < l.pause {
		return
	}
	l.cutAt, l.limit = time.Now(), max(l.limit/2, 1)
}
