package runcmd

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// TestRejectionOnce: a rejection that intake publishes again is said once, with an id that can be
// typed, or as much as is needed of the one that was asked for.
func TestRejectionOnce(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	n := &news{console: view.NewConsole(io.Discard, &screen)}
	long := strings.Repeat("b", 300)
	for range 2 {
		n.sayRejected(events.PipelineRejected{RequestSequence: 4, RunID: "r", Faults: []events.Fault{{Key: "request", Message: "is empty"}}})
		n.sayRejected(events.PipelineRejected{RequestSequence: 5, RunID: long, Faults: []events.Fault{{Key: "run_id", Value: long, Message: "is long"}}})
	}
	lines := strings.Split(strings.TrimSpace(screen.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "request 4 (r) is rejected: request: is empty") {
		t.Fatalf("%q", lines)
	}
	if !strings.Contains(lines[1], `request 5 is rejected: run_id "bbb`) || len(lines[1]) > 120 {
		t.Errorf("%q", lines[1])
	}
}
