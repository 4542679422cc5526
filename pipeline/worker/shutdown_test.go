package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/retry"
)

// TestShutdownBudget: each step of a shutdown has time left after the step
// before it.
func TestShutdownBudget(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Hour} {
		b := newShutdownBudget(grace)
		limits := []time.Duration{0, b.Checkpoint, b.Engine, b.Publish, grace}
		for i := 1; i < len(limits); i++ {
			if limits[i] < limits[i-1]+grace/20 {
				t.Errorf("grace %s: step %d ends after %s, the step before after %s", grace, i, limits[i], limits[i-1])
			}
		}
	}
}

// TestCancelHandlingTime: an engine that does not stop and an upload of its
// history fit into the time that intake grants.
func TestCancelHandlingTime(t *testing.T) {
	t.Parallel()
	if historySaveTime < 100*time.Millisecond || engineStopTime+historySaveTime > events.CancelHandlingTime {
		t.Errorf("engine %s, history %s, together at most %s", engineStopTime, historySaveTime, events.CancelHandlingTime)
	}
}

// TestWithGrace: the context of the end of a job lives longer than its parent,
// for the given time.
func TestWithGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		graceCtx, stop := withGrace(ctx, 3*time.Second)
		defer stop()
		cancel()
		began := time.Now()
		synctest.Wait()
		if graceCtx.Err() != nil {
			t.Fatal("it ended with its parent")
		}
		<-graceCtx.Done()
		if took := time.Since(began); took != 3*time.Second || !errors.Is(context.Cause(graceCtx), retry.ErrGraceOver) {
			t.Errorf("it ended after %s: %v", took, context.Cause(graceCtx))
		}
	})
}
