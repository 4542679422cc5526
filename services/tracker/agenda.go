package tracker

import (
	"sync"
	"time"
)

// agenda is which runs have to be written, and when.
type agenda struct {
	// bell gets a value when a run is due at once.
	bell chan struct{}

	mu   sync.Mutex
	runs map[string]entry
}

// entry is when a run is due, and since when it is on the agenda.
type entry struct{ at, since time.Time }

func newAgenda() *agenda { return &agenda{bell: make(chan struct{}, 1), runs: map[string]entry{}} }

// put puts a run on the agenda. One that is there keeps its time.
func (a *agenda) put(run string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.runs[run]; !ok {
		a.runs[run] = entry{at: at, since: time.Now()}
	}
}

// now puts a run on the agenda that is due at once.
func (a *agenda) now(run string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	e, ok := a.runs[run]
	if !ok {
		e.since = now
	}
	e.at = now
	a.runs[run] = e
	a.wake()
}

// wake rings the bell.
func (a *agenda) wake() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// take takes a run that is due off the agenda; while busy, only one that has
// waited for long.
func (a *agenda) take(now time.Time, busy bool) (run string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	run, ok = a.find(now, busy)
	delete(a.runs, run)
	return run, ok
}

// any reports whether [agenda.take] would find a run.
func (a *agenda) any(now time.Time, busy bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.find(now, busy)
	return ok
}

func (a *agenda) find(now time.Time, busy bool) (string, bool) {
	for run, e := range a.runs {
		if !e.at.After(now) && (!busy || now.Sub(e.since) >= longestWait) {
			return run, true
		}
	}
	return "", false
}
