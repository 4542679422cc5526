package projection

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// stored numbers facts as the stream does.
func stored(facts ...events.Fact) []codec.Message {
	var out []codec.Message
	for i, f := range facts {
		out = append(out, codec.Message{
			Event:    f,
			Subject:  f.Subject(),
			Sequence: uint64(i + 1),
			Time:     time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC),
		})
	}
	return out
}

// TestSnapshot: a snapshot knows whether the run is tracked as it is, under
// which fencing token tracking.completed is published, and which phases have
// an MLflow run.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	facts := []events.Fact{
		events.PipelineAccepted{RunID: "r", Plan: []events.Step{{Phase: events.Finetune}}},
		events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "builtin"},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1},
		events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success},
		events.PipelineCompleted{RunID: "r", Conclusion: events.Success},
		events.TrackingCompleted{RunID: "r"},
		events.CancelRequested{RunID: "r"},
	}
	for n, want := range map[int]struct {
		newest, tracked, token uint64
		upToDate, child        bool
	}{
		0: {upToDate: true},
		2: {newest: 2, token: 1},
		3: {newest: 3, token: 1, child: true},
		5: {newest: 5, token: 5, child: true},
		6: {newest: 5, tracked: 6, token: 6, child: true, upToDate: true},
		7: {newest: 7, tracked: 6, token: 7, child: true},
	} {
		s := FromFacts(stored(facts[:n]...))
		if s.NewestSequence != want.newest || s.TrackedSequence != want.tracked || s.FencingToken != want.token {
			t.Errorf("%d facts: sequences %d, %d and %d, want %+v", n, s.NewestSequence, s.TrackedSequence, s.FencingToken, want)
		}
		if s.UpToDate() != want.upToDate || s.HasChild(events.Finetune) != want.child {
			t.Errorf("%d facts: up to date %v, child %v, want %+v", n, s.UpToDate(), s.HasChild(events.Finetune), want)
		}
		if s.Run.Tracked != nil {
			t.Errorf("%d facts: the snapshot depends on tracking", n)
		}
	}
}

// TestSnapshotOfUnreadableFacts: a fact that cannot be read is described, and
// one of an unknown version has its time.
func TestSnapshotOfUnreadableFacts(t *testing.T) {
	t.Parallel()
	facts := stored(events.PipelineAccepted{RunID: "r"}, events.PipelineCompleted{RunID: "r"})
	facts[1].Event, facts[1].Unreadable = nil, &events.UnknownVersionError{}
	s := FromFacts(facts)
	if len(s.Unreadable) != 1 || !s.UnknownVersionAt.Equal(facts[1].Time) || s.NewestSequence != 2 || s.Run.Completed != nil {
		t.Errorf("snapshot %+v", s)
	}
	facts[1].Unreadable = &events.MalformedError{Err: errors.New("no JSON")}
	if s := FromFacts(facts); len(s.Unreadable) != 1 || !s.UnknownVersionAt.IsZero() {
		t.Errorf("snapshot with a malformed fact %+v", s)
	}
}

// TestChildStartsWithTheFirstAttempt: the time in the event counts before the
// time in the stream.
func TestChildStartsWithTheFirstAttempt(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	facts := stored(
		events.PipelineAccepted{RunID: "r", RunName: "nightly"},
		events.PhaseRequested{RunID: "r", Phase: events.Inference, Queue: "builtin"},
		events.PhaseStarted{RunID: "r", Phase: events.Inference, Attempt: 2, StartedAt: began.Add(time.Hour)},
		events.PhaseStarted{RunID: "r", Phase: events.Inference, Attempt: 1, StartedAt: began},
	)
	for _, order := range [][]codec.Message{facts, {facts[3], facts[2], facts[1], facts[0]}} {
		if got := FromFacts(order).Child(events.Inference).Run.StartTime; !got.Equal(began) {
			t.Errorf("start %s, want %s", got, began)
		}
	}
	facts[3].Event = events.PhaseStarted{RunID: "r", Phase: events.Inference, Attempt: 1}
	if got := FromFacts(facts).Child(events.Inference).Run.StartTime; !got.Equal(facts[3].Time) {
		t.Errorf("start %s, want %s", got, facts[3].Time)
	}
}

// TestParent: the run has parameters for what is known, and a status once it
// has ended.
func TestParent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	accepted := events.PipelineAccepted{
		RunID:       "r",
		RunName:     "nightly",
		RequestedAt: at,
		Labels:      map[string]string{"team": "a"},
		Plan:        []events.Step{{Phase: events.Inference}},
		Lineage:     events.Lineage{RerunOf: "old"},
	}
	open := FromFacts(stored(accepted)).Parent("1.2.3")
	if open.Status != "" || !open.End.IsZero() || !slices.ContainsFunc(open.Params, func(p mlflow.Param) bool { return p.Key == "pipeline_version" && p.Value == "1.2.3" }) {
		t.Errorf("an open run: %+v", open)
	}
	done := FromFacts(stored(accepted, events.PipelineCompleted{RunID: "r", Conclusion: events.Cancelled, StartedAt: at, EndedAt: at.Add(time.Minute)})).Parent("1.2.3")
	if done.Status != "KILLED" || !done.End.Equal(at.Add(time.Minute)) {
		t.Errorf("an ended run: %+v", done)
	}
	names := func(r MLflowRun) (keys []string) {
		for _, p := range r.Params {
			keys = append(keys, p.Key)
		}
		for _, tag := range r.Tags {
			keys = append(keys, tag.Key)
		}
		return keys
	}
	for _, key := range []string{"pipeline_end_time", "pipeline_success", "pipeline_results_summary"} {
		if slices.Contains(names(open), key) || !slices.Contains(names(done), key) {
			t.Errorf("%s: %v and %v", key, names(open), names(done))
		}
	}
	for _, key := range []string{"label.team", "pipeline_rerun_of", "tunebus.rerun_of", "mlflow.note.content"} {
		if !slices.Contains(names(open), key) {
			t.Errorf("without %s: %v", key, names(open))
		}
	}
}
