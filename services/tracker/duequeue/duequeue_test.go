package duequeue

import (
	"testing"
	"time"
)

// expectPop checks which run the queue returns, "" for none.
func expectPop(t *testing.T, q *Queue, at time.Time, busy bool, want string) {
	t.Helper()
	if run, _, ok := q.Pop(at, busy); run != want || ok != (want != "") {
		t.Errorf("pop: %q, %v; want %q", run, ok, want)
	}
}

// TestQueue: a run is returned once, when it is due, and a second schedule
// does not delay it.
func TestQueue(t *testing.T) {
	t.Parallel()
	q := New(time.Hour)
	now := time.Now()
	q.Schedule("r", now.Add(time.Minute))
	q.Schedule("r", now.Add(2*time.Minute))
	expectPop(t, q, now, false, "")
	expectPop(t, q, now.Add(time.Minute), false, "r")
	expectPop(t, q, now.Add(time.Hour), false, "")
}

// TestQueueScheduleNow: a run becomes due at once, and the reader wakes up.
func TestQueueScheduleNow(t *testing.T) {
	t.Parallel()
	q := New(time.Hour)
	q.Schedule("r", time.Now().Add(time.Hour))
	q.ScheduleNow("r", 0)
	q.ScheduleNow("r", 0) // does not block
	<-q.Wake
	expectPop(t, q, time.Now(), false, "r")
}

// TestQueueWhileBusy: only a run that has waited for long is returned.
func TestQueueWhileBusy(t *testing.T) {
	t.Parallel()
	q := New(time.Minute)
	now := time.Now()
	q.ScheduleNow("r", 0)
	expectPop(t, q, now.Add(time.Second), true, "")
	q.ScheduleNow("r", 0) // it has waited since the first time
	expectPop(t, q, now.Add(time.Minute+time.Second), true, "r")
}

// TestQueueNewestFact: the newest fact of a run is known, whenever the run is due.
func TestQueueNewestFact(t *testing.T) {
	t.Parallel()
	q := New(time.Minute)
	now := time.Now()
	q.ScheduleFact("r", now, 7)
	q.ScheduleFact("r", now.Add(time.Hour), 9)
	q.Schedule("r", now)
	if run, newest, ok := q.Pop(now, false); run != "r" || newest != 9 || !ok {
		t.Errorf("%q, %d, %v", run, newest, ok)
	}
	q.ScheduleNow("r", 3)
	if run, newest, ok := q.Pop(time.Now(), false); run != "r" || newest != 3 || !ok {
		t.Errorf("%q, %d, %v", run, newest, ok)
	}
}
