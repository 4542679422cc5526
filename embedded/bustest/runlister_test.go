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

// TestWorking: a job is worked on from the start of its newest attempt to the end of that
// attempt, of the phase, or of the run.
func TestWorking(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	job := func(run string, queue string) events.Event {
		return events.PhaseRequested{RunID: run, Phase: events.Finetune, Queue: queue}
	}
	start := func(run string, n int) events.Event {
		return events.PhaseStarted{RunID: run, Phase: events.Finetune, Attempt: n}
	}
	end := func(run string, n int) events.Event {
		return events.AttemptEnded{RunID: run, Phase: events.Finetune, Attempt: n, Reason: events.EndError}
	}
	for _, ev := range []events.Event{
		accepted("given_back"), job("given_back", "builtin"),
		accepted("working"), job("working", "builtin"), start("working", 1),
		accepted("again"), job("again", "builtin"), start("again", 9), end("again", 9), start("again", 10),
		accepted("trl"), job("trl", "trl"), start("trl", 1),
		accepted("next_try"), job("next_try", "builtin"), start("next_try", 1), end("next_try", 1),
		accepted("completed"), job("completed", "builtin"), start("completed", 1), events.PhaseCompleted{RunID: "completed", Phase: events.Finetune},
		accepted("ended"), job("ended", "builtin"), start("ended", 1), events.PipelineCompleted{RunID: "ended"},
	} {
		s.publish(t, ev)
	}
	got, err := runlister.New(s.conn).Working(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "the jobs that are worked on", fmt.Sprint(got), "map[{finetune builtin}:2 {finetune trl}:1]")
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
