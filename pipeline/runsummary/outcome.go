package runsummary

import (
	"strings"

	"github.com/tunebus/tunebus/events"
)

// Outcome is how a run ended, as far as a caller acts on it.
type Outcome string

// The outcomes.
const (
	// Open is a run that has not ended.
	Open      Outcome = "open"
	Succeeded Outcome = "succeeded"
	// Partial is a run that came to its end, but missed a gate, or went on
	// after a phase had failed.
	Partial   Outcome = "partial"
	Failed    Outcome = "failed"
	Cancelled Outcome = "cancelled"
)

// OutcomeOf returns how a run ended.
func OutcomeOf(run events.Run) Outcome {
	c := run.Completed
	switch {
	case c == nil:
		return Open
	case c.Conclusion == events.Failure:
		return Failed
	case c.Conclusion == events.Cancelled:
		return Cancelled
	case len(c.FailedPhases) > 0:
		return Partial
	}
	for _, g := range c.Gates {
		if !g.Met {
			return Partial
		}
	}
	return Succeeded
}

// StatusPartial is the status of a run whose outcome is [Partial].
const StatusPartial = events.Status(Partial)

// StatusStopped is the status of a run, a phase or an attempt that was worked on, and on whose
// data folder nobody works.
const StatusStopped events.Status = "stopped"

// StatusNotStarted is the status of a phase without facts in a run that has ended.
const StatusNotStarted events.Status = "not started"

// Stopped is a status on a data folder on which nobody works.
func Stopped(status events.Status) events.Status {
	if status == events.StatusRunning {
		return StatusStopped
	}
	return status
}

// StatusOf is the status of a run in one word, the same for people and in every JSON:
// [StatusPartial] where the run's conclusion is success, but not all of it succeeded.
func StatusOf(run events.Run) events.Status {
	if run.Deleted == nil && OutcomeOf(run) == Partial {
		return StatusPartial
	}
	return run.Status()
}

// Shortfall says why a run that came to its end is [Partial], such as "gate exact_match
// was missed"; empty if it is not.
func Shortfall(run events.Run) string {
	if OutcomeOf(run) != Partial {
		return ""
	}
	var reasons []string
	for _, g := range run.Completed.Gates {
		if !g.Met {
			reasons = append(reasons, "gate "+g.Metric+" was missed")
		}
	}
	for _, p := range run.Completed.FailedPhases {
		reasons = append(reasons, string(p)+" failed and the run went on")
	}
	return strings.Join(reasons, ", ")
}
