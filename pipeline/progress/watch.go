package progress

import (
	"runtime"
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
}

// tellAfter is how long a wait may take before it is reported, and how often
// the same one is reported.
const tellAfter = time.Minute

// Watch watches the job until stop is called. stop waits for the end of the
// watch.
func (m *Monitor) Watch(c Callbacks) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(m.interval)
		defer tick.Stop()
		var told waitReport
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
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// waitReport is the last wait that was reported.
type waitReport struct {
	waitsFor string
	at       time.Duration
}

// due reports whether a wait is to be reported now.
func (w *waitReport) due(inner span, now time.Duration) bool {
	if inner.idle < tellAfter || inner.waitsFor == w.waitsFor && now-w.at < tellAfter {
		return false
	}
	w.waitsFor, w.at = inner.waitsFor, now
	return true
}

// Stacks are the stacks of all goroutines, up to a size.
func Stacks() string {
	const most = 256 << 10
	buf := make([]byte, most)
	return string(buf[:runtime.Stack(buf, true)])
}
