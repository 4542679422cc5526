package runsummary

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// WaitsFor names the queue, as phase/name, in which a job of the run waits
// although no worker takes jobs from it; empty if there is none.
func WaitsFor(run events.Run, queues []topology.Queue) string {
	if run.Completed != nil || run.Accepted == nil {
		return ""
	}
	for _, step := range run.Accepted.Plan {
		if run.Phases[step.Phase].Status() != events.StatusQueued {
			continue
		}
		if slices.ContainsFunc(queues, func(q topology.Queue) bool {
			return q.Phase == step.Phase && q.Name == step.Queue && q.Unattended()
		}) {
			return string(step.Phase) + "/" + step.Queue
		}
	}
	return ""
}
