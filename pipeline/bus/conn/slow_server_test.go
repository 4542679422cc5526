package conn

import (
	"testing"
	"time"
)

// TestLimitsOfASlowServer: the limit of a kind grows with each request that gets no answer,
// up to half a minute, and falls when the answers are fast again. Other kinds keep theirs.
func TestLimitsOfASlowServer(t *testing.T) {
	t.Parallel()
	const s = time.Second
	var l limits
	want := func(what string, op Op, limit time.Duration) {
		t.Helper()
		if got := l.of(op); got != limit {
			t.Errorf("%s: %s has the limit %s, want %s", what, op, got, limit)
		}
	}
	want("at first", GetMessage, 5*s)
	for _, limit := range []time.Duration{10 * s, 20 * s, 30 * s, 30 * s, 30 * s} {
		l.unanswered(GetMessage, l.of(GetMessage))
		want("no answer", GetMessage, limit)
	}
	want("another kind", Publish, 5*s)
	l.answered(GetMessage, 12*s)
	want("an answer after 12 s", GetMessage, 30*s)
	l.answered(GetMessage, 4*s)
	want("an answer after 4 s", GetMessage, 10*s)
	l.unanswered(GetMessage, 5*s) // it began before
	want("a request that had begun before", GetMessage, 10*s)
	l.answered(GetMessage, s)
	want("a fast answer", GetMessage, 5*s)
	for range 40 {
		l.unanswered(Ack, l.of(Ack))
		l.unanswered(ListSubjects, l.of(ListSubjects))
		l.unanswered(GetBatch, l.of(GetBatch))
	}
	want("no answer", Ack, 2*s)
	want("no answer", ListSubjects, 30*s)
	want("no answer", GetBatch, 30*s)
	l.reset()
	want("a new connection", GetBatch, 10*s)
}
