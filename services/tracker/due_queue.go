package tracker

import (
	"sync"
	"time"
)

// dueQueue holds the runs that have to be written, each once, with the time
// when it is due.
type dueQueue struct {
	// wake gets a value when a run may be due at once.
	wake chan struct{}
	// longestWait is how long a due run waits at most while facts are many.
	longestWait time.Duration

	mu   sync.Mutex
	runs map[string]schedule
}

// schedule is when a run is due, since when it is in the queue, and the sequence of its
// newest fact that is known; 0 if none is.
type schedule struct {
	due, since time.Time
	newest     uint64
}

func newDueQueue(longestWait time.Duration) *dueQueue {
	return &dueQueue{wake: make(chan struct{}, 1), longestWait: longestWait, runs: map[string]schedule{}}
}

// schedule adds a run. A run that is in the queue keeps its time, unless this one is earlier.
func (q *dueQueue) schedule(run string, due time.Time) { q.scheduleFact(run, due, 0) }

// scheduleFact is schedule for a run that has a fact at a sequence.
func (q *dueQueue) scheduleFact(run string, due time.Time, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, ok := q.runs[run]
	if !ok || due.Before(s.due) {
		s.due, s.since = due, time.Now()
	}
	s.newest = max(s.newest, sequence)
	q.runs[run] = s
}

// scheduleNow adds a run that has a fact at a sequence and is due at once, or makes it due.
func (q *dueQueue) scheduleNow(run string, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	s, ok := q.runs[run]
	if !ok {
		s.since = now
	}
	s.due, s.newest = now, max(s.newest, sequence)
	q.runs[run] = s
	q.notify()
}

// notify wakes the reader of wake.
func (q *dueQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop removes a run that is due, and returns it with the sequence of its newest fact that is
// known. While busy it returns only a run that has waited for long.
func (q *dueQueue) pop(now time.Time, busy bool) (run string, newest uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for run, s := range q.runs {
		if !s.due.After(now) && (!busy || now.Sub(s.since) >= q.longestWait) {
			delete(q.runs, run)
			return run, s.newest, true
		}
	}
	return "", 0, false
}
