package tracker

import (
	"testing"
	"time"
)

// expectPop checks which run the queue returns, "" for none.
func expectPop(t *testing.T, q *dueQueue, at time.Time, busy bool, want string) {
	t.Helper()
	if run, _, ok := q.pop(at, busy); run != want || ok != (want != "") {
		t.Errorf("pop: %q, %v; want %q", run, ok, want)
	}
}

// TestDueQueue: a run is returned once, when it is due, and a second schedule
// does not delay it.
func TestDueQueue(t *testing.T) {
	t.Parallel()
	q := newDueQueue(time.Hour)
	now := time.Now()
	q.schedule("r", now.Add(time.Minute))
	q.schedule("r", now.Add(2*time.Minute))
	expectPop(t, q, now, false, "")
	expectPop(t, q, now.Add(time.Minute), false, "r")
	expectPop(t, q, now.Add(time.Hour), false, "")
}

// TestDueQueueScheduleNow: a run becomes due at once, and the reader wakes up.
func TestDueQueueScheduleNow(t *testing.T) {
	t.Parallel()
	q := newDueQueue(time.Hour)
	q.schedule("r", time.Now().Add(time.Hour))
	q.scheduleNow("r", 0)
	q.scheduleNow("r", 0) // does not block
	<-q.wake
	expectPop(t, q, time.Now(), false, "r")
}

// TestDueQueueWhileBusy: only a run that has waited for long is returned.
func TestDueQueueWhileBusy(t *testing.T) {
	t.Parallel()
	q := newDueQueue(time.Minute)
	now := time.Now()
	q.scheduleNow("r", 0)
	expectPop(t, q, now.Add(time.Second), true, "")
	q.scheduleNow("r", 0) // it has waited since the first time
	expectPop(t, q, now.Add(time.Minute+time.Second), true, "r")
}

// TestDueQueueNewestFact: the newest fact of a run is known, whenever the run is due.
func TestDueQueueNewestFact(t *testing.T) {
	t.Parallel()
	q := newDueQueue(time.Minute)
	now := time.Now()
	q.scheduleFact("r", now, 7)
	q.scheduleFact("r", now.Add(time.Hour), 9)
	q.schedule("r", now)
	if run, newest, ok := q.pop(now, false); run != "r" || newest != 9 || !ok {
		t.Errorf("%q, %d, %v", run, newest, ok)
	}
	q.scheduleNow("r", 3)
	if run, newest, ok := q.pop(time.Now(), false); run != "r" || newest != 3 || !ok {
		t.Errorf("%q, %d, %v", run, newest, ok)
	}
}
