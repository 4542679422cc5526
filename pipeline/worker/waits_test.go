package worker

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestWaitsArePublished: whoever follows a run sees what its attempt waits for, and
// that the wait is over. A wait of a moment is not shown.
func TestWaitsArePublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{}
		w, _ := newTestWorker(t, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
			if err := job.Progress(ctx, 7, 9); err != nil {
				return engine.Result{}, err
			}
			for _, takes := range []time.Duration{time.Second, 40 * time.Second} {
				over := engine.Waiting(ctx, "the judge to answer", time.Hour)
				time.Sleep(takes)
				over()
			}
			time.Sleep(time.Minute)
			return engine.Result{}, nil
		}))
		if err := w.Handle(t.Context(), deliveryOf(events.PhaseRequested{RunID: "r", Phase: events.Finetune})); err != nil {
			t.Fatal(err)
		}
		var waits []string
		for _, ev := range streams.metrics {
			if p, ok := ev.(events.Progress); ok && p.Total == 0 {
				waits = append(waits, p.WaitsFor)
				if p.RunID != "r" || p.Attempt != 1 || p.Step != 7 {
					t.Errorf("published %+v", p)
				}
			}
		}
		if want := []string{"the judge to answer", "the judge to answer", ""}; !slices.Equal(waits, want) {
			t.Errorf("published %q, want %q", waits, want)
		}
	})
}
