package events

import (
	"testing"
	"time"
)

// TestTimes: the times in a specification. Invalid text has no effect.
func TestTimes(t *testing.T) {
	t.Parallel()
	s := Specification{
		FineTuner: FineTuner{Timeout: "36h"}, Inferencer: Inferencer{Timeout: "soon"}, Evaluator: Evaluator{Timeout: "-1s"},
		Pipeline: Pipeline{Backoff: "1m30s", Deadline: ""},
	}
	for _, c := range []struct{ got, want time.Duration }{
		{s.Timeout(Finetune), 36 * time.Hour}, {s.Timeout(Inference), 0}, {s.Timeout(Evaluation), 0},
		{s.Pipeline.FirstBackoff(), 90 * time.Second}, {s.Pipeline.Limit(), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
