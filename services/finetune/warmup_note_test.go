package finetune

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
)

// TestOneStepOfWarmUp: a training whose only step has a learning rate of 0 says so.
func TestOneStepOfWarmUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s    events.FineTuner
		r    llm.TrainResult
		said bool
	}{
		"one step":        {events.FineTuner{WarmupSteps: 5, LRSchedulerType: "linear"}, llm.TrainResult{Steps: 1, Planned: 1}, true},
		"two steps":       {events.FineTuner{WarmupSteps: 5, LRSchedulerType: "linear"}, llm.TrainResult{Steps: 2, Planned: 2}, false},
		"no warm-up":      {events.FineTuner{LRSchedulerType: "linear"}, llm.TrainResult{Steps: 1, Planned: 1}, false},
		"a constant rate": {events.FineTuner{WarmupSteps: 5, LRSchedulerType: "constant"}, llm.TrainResult{Steps: 1, Planned: 1}, false},
	} {
		if said := strings.Contains(strings.Join(endNotes(c.s, c.r), "\n"), "nothing was learned"); said != c.said {
			t.Errorf("%s: said %v", name, said)
		}
	}
}
