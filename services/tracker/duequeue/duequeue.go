// Package duequeue holds the runs that the tracker has to write, each once, with the time
// when it is due.
package duequeue

import (
	"sync"
	"time"
)

// Queue holds runs. It is safe for concurrent use.
type Queue struct {
	// Wake gets a value when a run may be due at once.
	Wake chan struct{}
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

// New returns a queue in which a due run waits so long at most while facts are many.
func New(longestWait time.Duration) *Queue {
	return &Queue{Wake: make(chan struct{}, 1), longestWait: longestWait, runs: map[string]schedule{}}
}

// Schedule adds a run. A run that is in the queue keeps its time, unless this one is earlier.
func (q *Queue) Schedule(run string, due time.Time) { q.ScheduleFact(run, due, 0) }

// ScheduleFact is [Queue.Schedule] for a run that has a fact at a sequence.
func (q *Queue) ScheduleFact(run string, due time.Time, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, ok := q.runs[run]
	if !ok || due.Before(s.due) {
		s.due, s.since = due, time.Now()
	}
	s.newest = max(s.newest, sequence)
	q.runs[run] = s
}

// ScheduleNow adds a run that has a fact at a sequence and is due at once, or makes it due.
func (q *Queue) ScheduleNow(run string, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	s, ok := q.runs[run]
	if !ok {
		s.since = now
	}
	s.due, s.newest = now, max(s.newest, sequence)
	q.runs[run] = s
	q.Notify()
}

// Notify wakes the reader of Wake.
func (q *Queue) Notify() {
	select {
	case q.Wake <- struct{}{}:
	default:
	}
}

// Pop removes a run that is due, and returns it with the sequence of its newest fact that is
// known. While busy it returns only a run that has waited for long.
func (q *Queue) Pop(now time.Time, busy bool) (run string, newest uint64, ok bool) {
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
