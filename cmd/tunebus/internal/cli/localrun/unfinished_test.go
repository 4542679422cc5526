package localrun

import "testing"

// TestJobGateWithoutADecision: no job of an earlier run is worked on if nobody said what
// becomes of it.
func TestJobGateWithoutADecision(t *testing.T) {
	t.Parallel()
	unanswered, answered := newJobGate(), newJobGate()
	unanswered.close()
	unanswered.decide(nil)
	answered.decide([]string{"left"})
	answered.close()
	if !unanswered.skip("r") || answered.skip("r") || !answered.skip("left") {
		t.Error("a gate without a decision lets all runs pass, or one with a decision the wrong ones")
	}
}
