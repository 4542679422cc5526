package request

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
)

// sayWhatIsLacking says of inputs that a rerun lacks why the run that it repeats has none: what
// can be done about it depends on that.
func sayWhatIsLacking(faults []events.Fault, old events.Run) []events.Fault {
	for i, f := range faults {
		switch f.Key {
		case "inputs.model":
			if why := whyNone(old, events.Finetune, "model"); why != "" {
				faults[i].Message = why
			}
		case "inputs.predictions":
			if why := whyNone(old, events.Inference, "predictions"); why != "" {
				faults[i].Message = why
			}
		}
	}
	return faults
}

// whyNone says why a phase of a run has no result; empty if it should have one, or if the run
// does not have the phase.
func whyNone(old events.Run, p events.Phase, result string) string {
	if old.Accepted == nil || stepIndex(old.Accepted.Plan, p) < 0 {
		return ""
	}
	state := old.Phases[p]
	switch {
	case state != nil && state.Completed != nil && state.Completed.Conclusion == events.Success:
		return ""
	case state != nil && state.Completed != nil && state.Completed.Conclusion == events.Cancelled, old.Completed != nil && (state == nil || state.Completed == nil):
		return fmt.Sprintf("run %s ended before its %s was done, so it has no %s; start from %s", old.ID, p, result, p)
	case state != nil && state.Completed != nil:
		return fmt.Sprintf("%s failed in run %s, so it has no %s; start from %s", p, old.ID, result, p)
	default:
		return fmt.Sprintf("run %s has not ended its %s yet, so it has no %s; ask again then (\"tunebus watch %s\" follows it), or start from %s",
			old.ID, p, result, old.ID, p)
	}
}
