package finetune_test

import (
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/finetune"
)

// TestEndedEarlyIsCounted: a training that ended early says how many steps it had, and which
// one was best; an optimizer that it does not have is not the one that it used.
func TestEndedEarlyIsCounted(t *testing.T) {
	t.Parallel()
	c := newHarness(t).Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		f := &s.FineTuner
		f.ValidationDataID, f.Epochs, f.LearningRate, f.LRSchedulerType = "rows.jsonl", 60, 0.05, "constant"
		f.EvalSteps, f.EarlyStoppingPatience, f.LoadBestModelAtEnd, f.Optimizer = 1, 1, true, "lion_8bit"
	})
	if c.Conclusion != events.Success {
		t.Fatalf("%s, %+v", c.Conclusion, c.Error)
	}
	made, planned, best := c.Statistics[events.StatisticSteps], c.Statistics[events.StatisticPlannedSteps], c.Statistics[events.StatisticBestStep]
	if made < 1 || planned <= made || best != made-1 {
		t.Errorf("%v steps of %v, the best is %v", made, planned, best)
	}
	if c.Used["fine_tuner.optimizer"] != "adamw_torch" || len(c.Used) != 1 {
		t.Errorf("used %v", c.Used)
	}
}
