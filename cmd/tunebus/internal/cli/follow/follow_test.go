package follow_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
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
	interrupt := errors.New("interrupt signal received")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupt)
	console := view.NewConsole(&bytes.Buffer{}, &bytes.Buffer{})
	err := follow.ToEnd(ctx, console, bustest.New(t, topology.Topology{}), follow.Run{ID: "r", Request: 1, Back: "tunebus watch r --json"})
	if !errors.Is(err, interrupt) || exit.CodeOf(err) != exit.CodeError ||
		!strings.HasSuffix(err.Error(), "; run r goes on, and this follows it again:\n  tunebus watch r --json") {
		t.Errorf("status %d, %v", exit.CodeOf(err), err)
	}
}
