package progress

import (
	"cmp"
	"time"
)

// Callbacks are called by [Monitor.Watch], on its own goroutine. They must not
// take a lock that the work can hold.
type Callbacks struct {
	// OnStall is called once, with the first stall.
	OnStall func(s *Stall)
	// OnWait is called when an announced wait has taken a minute, and once a
	// minute from then on.
	OnWait func(waitsFor string, limit time.Duration)
	// OnWaiting is called when an announced wait has taken five seconds, and every
	// half a minute from then on; with "" when the wait is over. It must not block.
	OnWaiting func(waitsFor string)
	// OnIdle is called when nothing was counted for ten seconds, and every ten seconds
	// from then on, with what the job does or waits for; empty if it named nothing.
	OnIdle func(doing string, idle time.Duration)
}

// How long a wait may take before it is reported, and how often the same one is
// reported.
const (
	tellAfter = time.Minute // the operator

	showAfter = 5 * time.Second // whoever follows the run
	showEvery = 30 * time.Second

	idleEvery = 10 * time.Second // whoever sits before the screen
)

// Watch watches the job until stop is called. stop waits for the end of the
// watch.
func (m *Monitor) Watch(c Callbacks) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(m.interval)
		defer tick.Stop()
		told := waitReport{after: tellAfter, every: tellAfter}
		shown := waitReport{after: showAfter, every: showEvery}
		var idle time.Duration // that was told
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			stall, inner := m.look()
			if stall != nil {
				c.OnStall(stall)
			}
			if inner.stage == "" && told.due(inner, m.now()) && c.OnWait != nil {
				c.OnWait(inner.waitsFor, inner.limit)
			}
			if c.OnIdle != nil {
				if inner.idle < idleEvery {
					idle = 0
				} else if inner.idle-idle >= idleEvery {
					idle = inner.idle
					c.OnIdle(cmp.Or(inner.waitsFor, m.state.Load().doing()), idle)
				}
			}
			if c.OnWaiting == nil {
				continue
			}
			if shown.over(inner) {
				c.OnWaiting("")
			}
			if inner.stage == "" && shown.due(inner, m.now()) {
				c.OnWaiting(inner.waitsFor)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// waitReport is the last wait that was reported.
type waitReport struct {
	after, every time.Duration

	waitsFor string
	at       time.Duration
}

// due reports whether a wait is to be reported now.
func (w *waitReport) due(inner span, now time.Duration) bool {
	if inner.idle < w.after || inner.waitsFor == w.waitsFor && now-w.at < w.every {
		return false
	}
	w.waitsFor, w.at = inner.waitsFor, now
	return true
}

// over reports once that the wait that was reported last is over.
func (w *waitReport) over(inner span) bool {
	if w.waitsFor == "" || inner.stage == "" && inner.waitsFor == w.waitsFor {
		return false
	}
	w.waitsFor = ""
	return true
}
