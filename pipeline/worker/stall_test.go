package worker

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// newTestWorker is a worker on fakes. Its log goes to a buffer.
func newTestWorker(t *testing.T, streams *fakeStreams, e engine.Engine) (*Worker, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	x := newTestExecutor(t, &fakeStore{}, streams, e)
	x.cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	x.cfg.Stall = progress.Limits{progress.Train: 15 * time.Minute, progress.FirstStep: 30 * time.Minute, progress.Save: 20 * time.Minute}
	registry := &fakeRegistry{}
	return &Worker{
		cfg:       x.cfg,
		budget:    x.budget,
		history:   streams,
		subscribe: func(string) subscription { return newFakeSubscription() },
		checkpoints: checkpointing.SaverConfig{
			Registry: registry, Files: &fakeStore{}, Store: &fakeStore{}, Connected: func() bool { return true },
		},
		claimer:  &claimer{journal: streams, registry: registry, worker: "w", sweep: func() {}},
		executor: x,
		finisher: x.finisher,
	}, log
}

func deliveryOf(req events.PhaseRequested) delivery.Delivery {
	return delivery.Delivery{Message: codec.Message{Event: req, Subject: req.Subject()}}
}

// TestStalledEngine: a stalled attempt ends as lost, with the stage and the setting
// of its limit. The handler returns when the engine has, and what the engine made is
// dropped.
func TestStalledEngine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps     int
		afterward time.Duration // when the engine returns, after the stall
		after     time.Duration // of the stall
		stage     string
	}{
		"no step":       {0, time.Hour, 30 * time.Minute, "first_step"},
		"after steps":   {3, time.Hour, 45 * time.Minute, "train"}, // a step takes 10 minutes
		"it looks soon": {3, 0, 45 * time.Minute, "train"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				streams := &fakeStreams{}
				w, log := newTestWorker(t, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
					for step := range int64(c.steps) {
						time.Sleep(10 * time.Minute)
						if err := job.Progress(ctx, step+1, 9); err != nil {
							return engine.Result{}, err
						}
					}
					<-ctx.Done()
					time.Sleep(c.afterward)
					return engine.Result{Artifacts: []events.Artifact{{Name: events.ArtifactModel}}}, nil
				}))
				began := time.Now()
				err := w.Handle(t.Context(), deliveryOf(job))
				if took := time.Since(began); !errors.Is(err, delivery.ErrOwnershipLost) || took < c.after+c.afterward || took > c.after+c.afterward+time.Minute {
					t.Errorf("after %s: %v", took, err)
				}
				if len(streams.published) != 2 {
					t.Fatalf("published %+v", streams.published)
				}
				ended, ok := streams.published[1].(events.AttemptEnded)
				if !ok || ended.Reason != events.EndLost || ended.Error == nil || ended.Error.Code != events.CodeStalled || ended.LastStep != int64(c.steps) ||
					!strings.Contains(ended.Error.Message, "services.finetune.stall."+c.stage) {
					t.Errorf("published %+v, %+v", ended, ended.Error)
				}
				for _, want := range []string{"level=ERROR", "stage=" + c.stage, "goroutine(s)", "has returned; its result is dropped"} {
					if want == "goroutine(s)" && c.afterward == 0 {
						continue // the work may have returned before anybody looks at its stacks
					}
					if !strings.Contains(log.String(), want) {
						t.Errorf("the log lacks %q:\n%s", want, log)
					}
				}
			})
		})
	}
}

// TestStalledEngineWithoutNATS: the handler does not wait long for NATS, and the
// attempt then counts as a crash.
func TestStalledEngineWithoutNATS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{}
		w, log := newTestWorker(t, streams, engine.Func(func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
			<-ctx.Done()
			return engine.Result{}, ctx.Err()
		}))
		w.finisher.journal = awayJournal{streams}
		began := time.Now()
		err := w.Handle(t.Context(), deliveryOf(job))
		if took := time.Since(began); !errors.Is(err, delivery.ErrOwnershipLost) || took > 31*time.Minute {
			t.Errorf("after %s: %v", took, err)
		}
		if len(streams.published) != 1 || !strings.Contains(log.String(), "counts as a crash") {
			t.Errorf("published %+v, log %s", streams.published, log)
		}
	})
}

// awayJournal publishes nothing until its context ends.
type awayJournal struct{ eventPublisher }

func (awayJournal) Publish(ctx context.Context, _ events.Event, _ journal.Fence) (codec.Message, error) {
	<-ctx.Done()
	return codec.Message{}, context.Cause(ctx)
}

// TestStallAtTheEnd: a hang behind the end of the phase has the message delivered
// again, and says nothing about the attempt.
func TestStallAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{run: events.Fold([]events.Fact{started(1)})}
		w, log := newTestWorker(t, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
			return engine.Result{}, job.Progress(ctx, 1, 1)
		}))
		store := &hangingStore{hangs: 2 * time.Hour}
		w.finisher.cleaner.Store = store
		began := time.Now()
		err := w.Handle(t.Context(), deliveryOf(job))
		if took := time.Since(began); !errors.Is(err, delivery.ErrOwnershipLost) || took != store.hangs || store.listed.Load() != 1 {
			t.Errorf("after %s: %v", took, err)
		}
		last := streams.published[len(streams.published)-1]
		if c, ok := last.(events.PhaseCompleted); !ok || c.Conclusion != events.Success || len(streams.next) != 1 {
			t.Errorf("published %+v", streams.published)
		}
		if !strings.Contains(log.String(), "stage=finish") {
			t.Errorf("the log is %s", log)
		}
	})
}

// hangingStore is a store that answers after a while.
type hangingStore struct {
	hangs  time.Duration
	listed atomic.Int64
}

func (s *hangingStore) List(context.Context, string) iter.Seq2[artifact.Object, error] {
	return func(func(artifact.Object, error) bool) {
		s.listed.Add(1)
		time.Sleep(s.hangs)
	}
}

func (*hangingStore) Delete(context.Context, string) error { return nil }

// TestPublishingIsNoStall: a stream that stores nothing for hours costs no work.
func TestPublishingIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{}
		w, log := newTestWorker(t, streams, engine.Func(func(context.Context, *engine.Job) (engine.Result, error) {
			return engine.Result{}, nil
		}))
		w.finisher.journal = waitingJournal{slowJournal{streams}}
		if err := w.Handle(t.Context(), deliveryOf(job)); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), `msg="the job waits"`) || !strings.Contains(log.String(), "NATS to store finetune.completed.r") {
			t.Errorf("the log is %s", log)
		}
	})
}

// slowJournal takes hours for each event.
type slowJournal struct{ eventPublisher }

func (s slowJournal) Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	time.Sleep(5 * time.Hour)
	return s.eventPublisher.Publish(ctx, ev, fence)
}

func (s slowJournal) PublishNext(ctx context.Context, stored events.Fact, run events.Run) error {
	time.Sleep(5 * time.Hour)
	return s.eventPublisher.PublishNext(ctx, stored, run)
}
