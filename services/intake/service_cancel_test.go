package intake_test

import (
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

func started(id string, attempt int) events.PhaseStarted {
	return events.PhaseStarted{RunID: id, Phase: events.Finetune, Attempt: attempt, Worker: "w"}
}

func done(id string, how events.Conclusion, artifacts ...events.Artifact) events.PhaseCompleted {
	now := time.Now().UTC()
	return events.PhaseCompleted{RunID: id, Phase: events.Finetune, Attempt: 1, Conclusion: how, StartedAt: now, EndedAt: now, Artifacts: artifacts}
}

// TestCancel: a run without a worker ends at once; a run whose worker does not
// respond ends after the grace period; the first result counts.
func TestCancel(t *testing.T) {
	t.Parallel()
	const grace = 300 * time.Millisecond
	f := open(t, intake.Config{CancelGrace: grace}, topology.Topology{})

	t.Run("queued", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "queued"})
		f.accepted(t, "queued")
		f.publish(t, events.CancelRequested{RunID: "queued"})
		if c := f.ended(t, "queued"); c.Conclusion != events.Cancelled {
			t.Errorf("ended %s", c.Conclusion)
		}
	})
	t.Run("the worker does not respond", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "silent"})
		f.accepted(t, "silent")
		f.publish(t, started("silent", 1))
		asked := time.Now()
		f.publish(t, events.CancelRequested{RunID: "silent"})
		f.ended(t, "silent")
		if took := time.Since(asked); took < grace {
			t.Errorf("ended by intake after %s, the worker has %s", took, grace)
		}
		run, err := history.New(f.bus).Run(t.Context(), "silent")
		if err != nil {
			t.Fatal(err)
		}
		if p := run.Phases[events.Finetune]; len(p.Attempts) != 2 || p.Completed.Attempt != 2 || p.Attempts[1].Started.Worker != "intake" {
			t.Errorf("attempts %+v, completed %+v", p.Attempts, p.Completed)
		}
	})
	t.Run("the worker ends it", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "good"})
		f.accepted(t, "good")
		f.publish(t, started("good", 1), events.CancelRequested{RunID: "good"}, done("good", events.Cancelled))
		run := f.until(t, "good", "the phase", func(r events.Run) bool { return r.Phases[events.Finetune].Completed != nil })
		if err := journal.New(f.bus).PublishNext(t.Context(), *run.Phases[events.Finetune].Completed, run); err != nil {
			t.Fatal(err)
		}
		if c := f.ended(t, "good"); c.Conclusion != events.Cancelled || c.Phases[0].Attempts != 1 {
			t.Errorf("ended %+v", c)
		}
	})
	t.Run("between two phases", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "between"})
		f.accepted(t, "between")
		f.publish(t, started("between", 1), done("between", events.Success), events.CancelRequested{RunID: "between"})
		run := f.until(t, "between", "the phase", func(r events.Run) bool { return r.Phases[events.Finetune].Completed != nil })
		if err := journal.New(f.bus).PublishNext(t.Context(), *run.Phases[events.Finetune].Completed, run); err != nil {
			t.Fatal(err)
		}
		if c := f.ended(t, "between"); c.Conclusion != events.Cancelled || len(c.Phases) != 2 {
			t.Errorf("ended %+v", c)
		}
	})
	t.Run("ended and unknown", func(t *testing.T) {
		f.publish(t, events.CancelRequested{RunID: "unknown"})
		f.request(t, events.PipelineRequested{RunID: "over"})
		f.accepted(t, "over")
		f.publish(t, started("over", 1), done("over", events.Failure))
		run := f.until(t, "over", "the phase", func(r events.Run) bool { return r.Phases[events.Finetune].Completed != nil })
		if err := journal.New(f.bus).PublishNext(t.Context(), *run.Phases[events.Finetune].Completed, run); err != nil {
			t.Fatal(err)
		}
		f.ended(t, "over")
		f.publish(t, events.CancelRequested{RunID: "over"})
		// Other runs are cancelled meanwhile.
		f.request(t, events.PipelineRequested{RunID: "after"})
		f.accepted(t, "after")
		f.publish(t, events.CancelRequested{RunID: "after"})
		f.ended(t, "after")
		if c := f.ended(t, "over"); c.Conclusion != events.Failure {
			t.Errorf("ended %s", c.Conclusion)
		}
	})
}

// TestCancelWithoutWorker: a job that no worker has is ended without a grace
// period, also if the worker died before it published the next job.
func TestCancelWithoutWorker(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{CancelGrace: time.Hour}, topology.Topology{})
	t.Run("between two phases, and the worker is dead", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "stuck"})
		f.accepted(t, "stuck")
		f.publish(t, started("stuck", 1), done("stuck", events.Success, events.Artifact{Name: events.ArtifactModel, Reference: reference("model")}))
		f.publish(t, events.CancelRequested{RunID: "stuck"})
		c := f.ended(t, "stuck")
		if c.Conclusion != events.Cancelled || len(c.Phases) != 2 || c.Phases[0].Conclusion != events.Success || c.Phases[1].Conclusion != events.Cancelled {
			t.Errorf("ended %+v", c)
		}
	})
	t.Run("after the last phase, and the worker is dead", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "nearly", Specification: specification(t, map[string]map[string]any{"pipeline": {"stop_after_finetuning": true}})})
		f.accepted(t, "nearly")
		f.publish(t, started("nearly", 1), done("nearly", events.Success), events.CancelRequested{RunID: "nearly"})
		if c := f.ended(t, "nearly"); c.Conclusion != events.Success || len(c.Phases) != 1 {
			t.Errorf("ended %+v", c)
		}
	})
	t.Run("between two tries", func(t *testing.T) {
		f.request(t, events.PipelineRequested{RunID: "backoff"})
		f.accepted(t, "backoff")
		began := time.Now().Add(-time.Minute).UTC()
		first := started("backoff", 1)
		first.StartedAt = began
		f.publish(t, first, events.AttemptEnded{RunID: "backoff", Phase: events.Finetune, Attempt: 1, Reason: events.EndError})
		f.publish(t, events.CancelRequested{RunID: "backoff"})
		c := f.ended(t, "backoff")
		if c.Conclusion != events.Cancelled || c.Phases[0].DurationSeconds < 60 {
			t.Errorf("ended %+v", c)
		}
	})
}

// TestCancelOfUnknownRun: the cancel request is dropped after an hour; until then
// the run may still be accepted.
func TestCancelOfUnknownRun(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	cancel := delivery.Delivery{Message: codec.Message{Event: events.CancelRequested{RunID: "unknown"}, Time: time.Now()}}
	if err := f.handle(t, "intake/cancel", cancel); err == nil {
		t.Error("dropped at once")
	}
	cancel.Time = time.Now().Add(-2 * time.Hour)
	if err := f.handle(t, "intake/cancel", cancel); err != nil {
		t.Errorf("still retried: %v", err)
	}
}

// TestDeadline: only the run whose deadline has passed is cancelled.
func TestDeadline(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{CancelGrace: time.Millisecond}, topology.Topology{})
	limit := func(text string) map[string]map[string]any {
		return map[string]map[string]any{"pipeline": {"deadline": text}}
	}
	asked := time.Now()
	f.request(t, events.PipelineRequested{RunID: "late", Specification: specification(t, limit("600ms"))})
	f.request(t, events.PipelineRequested{RunID: "far", Specification: specification(t, limit("5h"))})
	f.request(t, events.PipelineRequested{RunID: "none"})
	if c := f.ended(t, "late"); c.Conclusion != events.Cancelled {
		t.Errorf("ended %s", c.Conclusion)
	}
	if took := time.Since(asked); took < 600*time.Millisecond {
		t.Errorf("ended after %s", took)
	}
	run, err := history.New(f.bus).Run(t.Context(), "late")
	if err != nil {
		t.Fatal(err)
	}
	if run.Cancel == nil || run.Cancel.By != "deadline" || run.Cancel.Reason == "" {
		t.Errorf("cancel: %+v", run.Cancel)
	}
	for _, id := range []string{"far", "none"} {
		if run := f.accepted(t, id); run.Cancel != nil {
			t.Errorf("%s was cancelled", id)
		}
	}
}
