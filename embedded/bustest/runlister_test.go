package bustest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestRunIndex: each list holds the runs with the facts that it asks for, sorted.
// A rejected request is in no list, because it made no run.
func TestRunIndex(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	index := runlister.New(s.conn)
	for _, ev := range []events.Event{
		accepted("tracked"), events.PipelineCompleted{RunID: "tracked"}, events.TrackingCompleted{RunID: "tracked"},
		accepted("ended"), events.PipelineCompleted{RunID: "ended"},
		accepted("open"),
		events.PipelineCompleted{RunID: "removed"}, // in part: its accepted fact is not there
		events.PipelineRejected{RequestSequence: 5, RunID: "rejected"},
	} {
		s.publish(t, ev)
	}
	for _, c := range []struct {
		name string
		list func(context.Context) ([]string, error)
		want []string
	}{
		{"Accepted", index.Accepted, []string{"ended", "open", "tracked"}},
		{"Open", index.Open, []string{"open"}},
		{"Untracked", index.Untracked, []string{"ended", "open"}},
		{"InStream", index.InStream, []string{"ended", "open", "removed", "tracked"}},
	} {
		got, err := c.list(t.Context())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		wantEqual(t, c.name, fmt.Sprint(got), fmt.Sprint(c.want))
	}
}

// TestRunIndexRejection: the rejection of a run is found by the run's id, also if
// other requests between were accepted.
func TestRunIndexRejection(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	index := runlister.New(s.conn)
	if r, err := index.Rejection(t.Context(), "r1"); r != nil || err != nil {
		t.Errorf("without rejections: %+v, %v", r, err)
	}
	for i := range 3 {
		s.publish(t, events.PipelineRejected{RequestSequence: uint64(10*i + 1), RunID: fmt.Sprintf("r%d", i+1)})
	}
	for i := range 3 {
		r, err := index.Rejection(t.Context(), fmt.Sprintf("r%d", i+1))
		if err != nil || r == nil {
			t.Errorf("rejection %d: %+v, %v", i+1, r, err)
			continue
		}
		wantEqual(t, "the sequence of the request", r.RequestSequence, uint64(10*i+1))
	}
	if r, err := index.Rejection(t.Context(), "unknown"); r != nil || err != nil {
		t.Errorf("of an unknown run: %+v, %v", r, err)
	}
}

// TestNewestRunPassesOverUnreadable: facts that nobody can read do not hide the run that
// was accepted last among the others.
func TestNewestRunPassesOverUnreadable(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	s.publish(t, events.PipelineAccepted{RunID: "r1", RequestedAt: time.Unix(1, 0)})
	s.publish(t, events.PipelineAccepted{RunID: "r2", RequestedAt: time.Unix(2, 0)})
	newest := func(want string) {
		t.Helper()
		a, err := runlister.New(s.conn).Newest(t.Context())
		if err != nil || a == nil || a.RunID != want {
			t.Errorf("the newest run is %+v, %v; want %s", a, err, want)
		}
	}
	s.publishRaw(t, events.PipelineDeleted{RunID: "r2"}.Subject(), `{"junk":1}`, nil)
	newest("r1")
	s.publishRaw(t, events.PipelineAccepted{RunID: "r3"}.Subject(), `{"junk":1}`, nil)
	newest("r1")
	if !s.log.contains("passed over") || !s.log.contains("pipeline.accepted.r3") {
		t.Error("the log does not say what was passed over")
	}
}
