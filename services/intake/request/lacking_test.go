package request

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestSayWhatIsLacking: who repeats a run that has no model is told why it has none.
func TestSayWhatIsLacking(t *testing.T) {
	t.Parallel()
	run := func(p *events.PhaseState, end *events.PipelineCompleted) events.Run {
		return events.Run{
			ID: "r", Completed: end, Phases: map[events.Phase]*events.PhaseState{events.Finetune: p},
			Accepted: &events.PipelineAccepted{Plan: []events.Step{{Phase: events.Finetune}, {Phase: events.Inference}}},
		}
	}
	ended := func(c events.Conclusion) *events.PhaseState {
		return &events.PhaseState{Completed: &events.PhaseCompleted{Conclusion: c}}
	}
	end := &events.PipelineCompleted{}
	for want, old := range map[string]events.Run{
		"has not ended its finetune yet":     run(&events.PhaseState{}, nil),
		"finetune failed in run r":           run(ended(events.Failure), end),
		"ended before its finetune was done": run(ended(events.Cancelled), end),
		"as it was":                          run(ended(events.Success), end),
	} {
		faults := sayWhatIsLacking([]events.Fault{{Key: "inputs.model", Message: "as it was"}, {Key: "other", Message: "stays"}}, old)
		if !strings.Contains(faults[0].Message, want) || faults[1].Message != "stays" {
			t.Errorf("%+v, want %q", faults, want)
		}
	}
}
