package progress

import (
	"cmp"
	"sync"
	"time"
)

// Callbacks are called by [Monitor.Watch], one after the other, on a goroutine of their
// own. They must not take a lock that the work can hold, nor stop the watch.
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

// Watch watches the job until stop is called. stop waits for the end of a look. Nothing
// runs between two looks, so that a short job costs nothing more than a timer.
func (m *Monitor) Watch(c Callbacks) (stop func()) {
	w := &watch{
		monitor: m, calls: c,
		told:  waitReport{after: tellAfter, every: tellAfter},
		shown: waitReport{after: showAfter, every: showEvery},
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(m.interval, w.lookAgain)
	return w.stop
}

// watch looks at a monitor from time to time.
type watch struct {
	monitor *Monitor
	calls   Callbacks

	mu          sync.Mutex // held during a look
	timer       *time.Timer
	stopped     bool
	told, shown waitReport
	idle        time.Duration // that was told
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}

// lookAgain looks, and has the timer set for the next look.
func (w *watch) lookAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	defer w.timer.Reset(w.monitor.interval)
	w.look()
}

func (w *watch) look() {
	c, seen := w.calls, w.monitor.look()
	if seen.stall != nil {
		c.OnStall(seen.stall)
	}
	if seen.stage == "" && w.told.due(seen) && c.OnWait != nil {
		c.OnWait(seen.waitsFor, seen.limit)
	}
	if c.OnIdle != nil {
		if seen.idle < idleEvery {
			w.idle = 0
		} else if seen.idle-w.idle >= idleEvery {
			w.idle = seen.idle
			c.OnIdle(cmp.Or(seen.waitsFor, seen.doing), w.idle)
		}
	}
	if c.OnWaiting == nil {
		return
	}
	if w.shown.over(seen) {
		c.OnWaiting("")
	}
	if seen.stage == "" && w.shown.due(seen) {
		c.OnWaiting(seen.waitsFor)
	}
}

// waitReport is the last wait that was reported.
type waitReport struct {
	after, every time.Duration

	waitsFor string
	at       time.Duration
}

// due reports whether a wait is to be reported now.
func (w *waitReport) due(seen view) bool {
	if seen.idle < w.after || seen.waitsFor == w.waitsFor && seen.now-w.at < w.every {
		return false
	}
	w.waitsFor, w.at = seen.waitsFor, seen.now
	return true
}

// over reports once that the wait that was reported last is over.
func (w *waitReport) over(seen view) bool {
	if w.waitsFor == "" || seen.stage == "" && seen.waitsFor == w.waitsFor {
		return false
	}
	w.waitsFor = ""
	return true
}
