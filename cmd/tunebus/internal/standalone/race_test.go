package standalone_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// TestManyHoldersOneEnd: of workers that hold one job at the same time one
// completes it. The others let go or find it completed, and leave nothing
// behind.
func TestManyHoldersOneEnd(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	for round := range 5 {
		id := fmt.Sprint("r", round)
		s.accept(t, id, nil, events.Finetune, events.Inference)
		job := events.PhaseRequested{RunID: id, Phase: events.Finetune, Queue: "builtin"}
		m, err := history.New(s.bus).Latest(t.Context(), job.Subject())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 8 {
			w := worker.New(s.bus, s.store, engine.Func(trainer{steps: 3, save: 1}.Run), fast(worker.Config{Scratch: t.TempDir(), Logger: s.logger()}))
			all.Go(func() {
				if err := w.Handle(t.Context(), delivery.Delivery{Message: m, Delivered: 1}); err != nil && !errors.Is(err, delivery.ErrOwnershipLost) {
					t.Errorf("it answers %v", err)
				}
			})
		}
		all.Wait()
		run, err := history.New(s.bus).Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		c := run.Phases[events.Finetune].Completed
		if c == nil || c.Conclusion != events.Success || run.Phases[events.Inference] == nil {
			t.Fatalf("%s: completed %+v, next %+v", id, c, run.Phases[events.Inference])
		}
		if model, ok := c.Artifact(events.ArtifactModel); !ok || !strings.Contains(model.Key, fmt.Sprintf("/finetune/%d/", c.Attempt)) {
			t.Errorf("%s: attempt %d refers to %s", id, c.Attempt, model.Key)
		}
		for _, key := range s.keys(t, id) {
			if !strings.Contains(key, fmt.Sprintf("/finetune/%d/", c.Attempt)) {
				t.Errorf("%s: %s is left over; attempt %d completed the phase", id, key, c.Attempt)
			}
		}
		if _, err := checkpoint.New(s.bus).Load(t.Context(), id, events.Finetune); !errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("%s: its checkpoint is left over: %v", id, err)
		}
	}
}

// TestShutdownWithoutNATS: a worker that is cut off stops in bounded time all
// the same, and the next one takes over.
func TestShutdownWithoutNATS(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	proxy := bustest.NewProxy(t, s.server.URL())
	working := make(chan struct{})
	stop := s.worker(t, s.connect(t, proxy.URL), func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
		close(working)
		<-ctx.Done()
		return engine.Result{}, context.Cause(ctx)
	}, worker.Config{Grace: 2 * time.Second})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	proxy.Cut()
	if took := stop(); took > 10*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	s.worker(t, s.bus, noop, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if len(p.Attempts) != 2 || p.Completed.Attempt != 2 || p.Completed.Conclusion != events.Success {
		t.Errorf("attempts %+v, completed %+v", p.Attempts, p.Completed)
	}
}
