package request

import (
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestNothingLeftNamesTheKey: where a key ends the run before a phase that is enabled, the fault
// is at that key.
func TestNothingLeftNamesTheKey(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]events.Pipeline{
		"pipeline.stop_after_finetuning": {EnableInference: true, StopAfterFinetuning: true},
		"pipeline.stop_after_inference":  {EnableEvaluation: true, StopAfterInference: true},
		"pipeline":                       {StopAfterFinetuning: true},
	} {
		if key, _, _ := nothingLeft(p); key != want {
			t.Errorf("%+v: %s, want %s", p, key, want)
		}
	}
}
