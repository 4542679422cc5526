package follow_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runwatch"
)

// TestInterrupted: who interrupts a wait is told that the run goes on, and how to
// come back.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a signal"))
	console := view.NewConsole(&bytes.Buffer{}, &bytes.Buffer{})
	err := follow.ToEnd(ctx, console, bustest.New(t, topology.Topology{}), follow.Run{ID: "r", Request: 1, Back: "tunebus watch r --json"})
	if exit.CodeOf(err) != exit.CodeInterrupted || err.Error() != "interrupted; run r goes on, and this follows it again:\n  tunebus watch r --json" {
		t.Errorf("status %d, %v", exit.CodeOf(err), err)
	}
}

// TestEndedAndNotTracked: who waits for the tracking of a run that has ended is told its end, and
// what is missing, whether a limit or a person ends the wait.
func TestEndedAndNotTracked(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	clitest.Publish(t, b, clitest.EndedRun("r")...)
	console := view.NewConsole(&bytes.Buffer{}, &bytes.Buffer{})
	const state = "run r has ended (success); not all of its reports and of MLflow is written yet, and the tracker goes on with that; this shows what there is:\n  tunebus show r"
	for want, c := range map[string]struct {
		limit  time.Duration
		status exit.Code
	}{
		"the wait of 2s is over: " + state: {2 * time.Second, exit.CodeTimeout},
		"interrupted; " + state:            {0, exit.CodeInterrupted},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if c.limit == 0 {
			time.AfterFunc(2*time.Second, func() { cancel(errors.New("a signal")) })
		}
		err := follow.ToEnd(ctx, console, b, follow.Run{ID: "r", Back: "tunebus watch r", Look: "tunebus show r", Tracking: time.Hour, Limit: c.limit})
		if exit.CodeOf(err) != c.status || err.Error() != want {
			t.Errorf("status %d, %v", exit.CodeOf(err), err)
		}
		cancel(nil)
	}
}

// TestRequestForDeletedRun: who asked for a run with the id of a deleted one stays until
// intake has rejected the request.
func TestRequestForDeletedRun(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	publish := func(ev events.Event) {
		t.Helper()
		if _, err := journal.New(b).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	publish(events.PipelineDeleted{RunID: "gone"})
	console := view.NewConsole(&bytes.Buffer{}, &bytes.Buffer{})
	ended := make(chan error, 1)
	go func() {
		_, err := follow.Show(t.Context(), console, b, follow.Run{ID: "gone", Request: 5})
		ended <- err
	}()
	publish(events.PipelineRejected{RequestSequence: 5, RunID: "gone", Faults: []events.Fault{{Key: "run_id", Message: "was deleted"}}})
	if _, rejected := errors.AsType[*runwatch.RejectedError](<-ended); !rejected {
		t.Error("it ended before intake had rejected the request")
	}
	if _, err := follow.Show(t.Context(), console, b, follow.Run{ID: "gone"}); err == nil {
		t.Error("a deleted run is followed")
	}
}
