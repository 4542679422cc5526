package modelserver

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

// limiter bounds the calls that are open at once. The bound grows while calls succeed,
// up to a maximum, and is halved when the server cannot keep up.
type limiter struct {
	most  float64
	freed chan struct{} // holds a value once a slot may be free
	pause time.Duration

	mu    sync.Mutex
	limit float64
	open  int
	cutAt time.Time // zero: never
	peak  int
}

func newLimiter(most int) *limiter {
	return &limiter{most: float64(most), limit: float64(min(firstLimit, most)), pause: cutPause, freed: make(chan struct{}, 1)}
}

// take waits for a slot. One goroutine at a time may call it.
func (l *limiter) take(ctx context.Context) error {
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

func (l *limiter) tryTake() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= int(l.limit) {
		return false
	}
	l.open++
	l.peak = max(l.peak, l.open)
	return true
}

// free gives a slot back.
func (l *limiter) free() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// succeed lets the bound grow: by one for each call until it was cut for the first
// time, then by one for each round of calls.
func (l *limiter) succeed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	step := 1.0
	if !l.cutAt.IsZero() {
		step = 1 / l.limit
	}
	l.limit = min(l.limit+step, l.most)
}

// cut halves the bound, once for all calls that fail together.
func (l *limiter) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.cutAt) < l.pause {
		return
	}
	l.cutAt, l.limit = time.Now(), max(l.limit/2, 1)
}
