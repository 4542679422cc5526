package bustest_test

import (
	"context"
	"fmt"
	"testing"

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
