package finetune

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
)

// TestRateNotes: a training whose learning rate was never what its key says tells of it.
func TestRateNotes(t *testing.T) {
	t.Parallel()
	s := events.FineTuner{LearningRate: 0.01}
	for name, c := range map[string]struct {
		r    llm.TrainResult
		want string
	}{
		"one step of a warm-up": {llm.TrainResult{Steps: 1}, "the only step had a learning rate of 0"},
		"a long warm-up":        {llm.TrainResult{Steps: 10, HighestRate: 0.004}, "fine_tuner.learning_rate = 0.01 was never reached: the highest of the 10 steps was 0.004"},
		"above":                 {llm.TrainResult{Steps: 10, HighestRate: 0.02}, "fine_tuner.learning_rate = 0.01 is not the highest one: by fine_tuner.lr_scheduler_kwargs it was up to 0.02"},
		"a short one":           {llm.TrainResult{Steps: 5, HighestRate: 0.0095}, ""},
		"the usual one":         {llm.TrainResult{Steps: 100, HighestRate: 0.01}, ""},
		"none":                  {llm.TrainResult{}, ""},
	} {
		got := strings.Join(endNotes(s, c.r), "\n")
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
