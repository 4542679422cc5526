package runsummary

import "github.com/tunebus/tunebus/events"

// Queued returns the step of a run whose job waits for a worker. ok is false if
// there is none.
func Queued(run events.Run) (_ events.Step, ok bool) {
	if run.Completed != nil || run.Accepted == nil {
		return events.Step{}, false
	}
	for _, step := range run.Accepted.Plan {
		if run.Phases[step.Phase].Status() == events.StatusQueued {
			return step, true
		}
	}
	return events.Step{}, false
}

// Stood returns the newest attempt at the phase of an open run that is worked on, or that has
// to be worked on again. ok is false if there is none.
func Stood(run events.Run) (p events.Phase, attempt int, ok bool) {
	if run.Completed != nil || run.Accepted == nil {
		return "", 0, false
	}
	for _, step := range run.Accepted.Plan {
		if state := run.Phases[step.Phase]; state != nil && state.Completed == nil && state.NextAttempt() > 1 {
			return step.Phase, state.NextAttempt() - 1, true
		}
	}
	return "", 0, false
}

// Running returns the newest attempt of the phase of a run that is worked on. ok is
// false if there is none.
func Running(run events.Run) (p events.Phase, attempt int, ok bool) {
	if run.Completed != nil || run.Accepted == nil {
		return "", 0, false
	}
	for _, step := range run.Accepted.Plan {
		if state := run.Phases[step.Phase]; state.Status() == events.StatusRunning {
			return step.Phase, state.NextAttempt() - 1, true
		}
	}
	return "", 0, false
}
