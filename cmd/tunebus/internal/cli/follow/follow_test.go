package follow_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
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
