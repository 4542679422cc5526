package freeworker_test

import (
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestMissing: a queued job waits for a worker if its queue has none.
func TestMissing(t *testing.T) {
	t.Parallel()
	run := events.Run{
		Accepted: &events.PipelineAccepted{Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}},
		Phases:   map[events.Phase]*events.PhaseState{events.Finetune: {Requested: &events.PhaseRequested{}}},
	}
	queue := topology.Queue{Phase: events.Finetune, Name: "builtin", Waiting: 1}
	if got := freeworker.Missing(run, []topology.Queue{queue}); got != "finetune/builtin" {
		t.Errorf("without a worker: %q", got)
	}
	queue.Idle = 1
	if got := freeworker.Missing(run, []topology.Queue{queue}); got != "" {
		t.Errorf("with a free worker: %q", got)
	}
}
