package runsummary

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

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

// WaitsFor names the queue, as phase/name, in which a job of the run waits
// although no worker takes jobs from it; empty if there is none.
func WaitsFor(run events.Run, queues []topology.Queue) string {
	step, ok := Queued(run)
	if ok && slices.ContainsFunc(queues, func(q topology.Queue) bool {
		return q.Phase == step.Phase && q.Name == step.Queue && q.Unattended()
	}) {
		return string(step.Phase) + "/" + step.Queue
	}
	return ""
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
