package localrun

import (
	"context"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
)

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

// TestWaitingRequestsWithoutADecision: no request that waited before this process is looked at
// if the process stops before it is said what becomes of it, or is known which ones waited.
func TestWaitingRequestsWithoutADecision(t *testing.T) {
	t.Parallel()
	waited := func() *waitingRequests {
		w := newWaitingRequests()
		w.all, w.sequences[3] = []waiting.Request{{RunID: "r", Sequence: 3}}, true
		close(w.found)
		return w
	}
	works := t.Context()
	stopped, stop := context.WithCancel(works)
	stop()
	unknown, unanswered, left, taken := newWaitingRequests(), waited(), waited(), waited()
	left.decide(true)
	taken.decide(false)
	if !unknown.hold(stopped, 3) || !unanswered.hold(stopped, 3) || unanswered.hold(works, 4) || !left.hold(works, 3) || left.hold(works, 4) || taken.hold(works, 3) {
		t.Error("without a decision requests pass, or with one the wrong ones")
	}
}
