package intake

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// fakePublisher records the published events, or returns err if it is set.
type fakePublisher struct {
	published []events.Event
	followed  []events.Fact
	err       error
}

func (j *fakePublisher) Publish(_ context.Context, ev events.Event, _ journal.Fence) (codec.Message, error) {
	if j.err != nil {
		return codec.Message{}, j.err
	}
	j.published = append(j.published, ev)
	return codec.Message{Event: ev, Sequence: uint64(len(j.published))}, nil
}

func (j *fakePublisher) PublishNext(_ context.Context, stored events.Fact, _ events.Run) error {
	j.followed = append(j.followed, stored)
	return nil
}

// fakeRuns are runs by id.
type fakeRuns map[string]events.Run

func (r fakeRuns) Run(_ context.Context, id string) (events.Run, error) { return r[id], nil }

// noFacts are the facts of requests that nobody has answered.
type noFacts struct{}

func (noFacts) Latest(context.Context, string) (codec.Message, error) {
	return codec.Message{}, history.ErrNotFound
}

// failingRuns returns the same error for each run.
type failingRuns struct{ err error }

func (r failingRuns) Run(context.Context, string) (events.Run, error) { return events.Run{}, r.err }

// queuedRun returns a run whose first job has no worker yet.
func queuedRun(id string) events.Run {
	step := events.Step{Phase: events.Finetune, Queue: "builtin"}
	return events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: id, Plan: []events.Step{step}},
		events.PhaseRequested{RunID: id, Phase: step.Phase, Queue: step.Queue},
	})
}

// runningRun returns a run whose first job has a worker.
func runningRun(id string) events.Run {
	step := events.Step{Phase: events.Finetune, Queue: "builtin"}
	return events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: id, Plan: []events.Step{step}},
		events.PhaseRequested{RunID: id, Phase: step.Phase, Queue: step.Queue},
		events.PhaseStarted{RunID: id, Phase: step.Phase, Attempt: 1, Worker: "w"},
	})
}

func readerOf(runs Runs) runReader {
	return runReader{runs: runs, log: slog.New(slog.DiscardHandler)}
}

// firstDelivery returns the first delivery of an event that was stored at a time.
func firstDelivery(ev events.Event, stored time.Time) delivery.Delivery {
	return delivery.Delivery{
		Message:   codec.Message{Event: ev, Subject: ev.Subject(), Sequence: 1, Time: stored},
		Delivered: 1,
	}
}

func wantRetry(t *testing.T, err error, least, most time.Duration) {
	t.Helper()
	if later, ok := errors.AsType[*delivery.RetryAfter](err); !ok || later.Delay < least || later.Delay > most {
		t.Errorf("got %v, want a retry after %s to %s", err, least, most)
	}
}
