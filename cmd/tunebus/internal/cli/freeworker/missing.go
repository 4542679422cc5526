package freeworker

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// Missing names the queue, as phase/name, in which a job of the run waits
// although no worker takes jobs from it; empty if there is none.
func Missing(run events.Run, queues []topology.Queue) string {
	step, ok := runsummary.Queued(run)
	if ok && slices.ContainsFunc(queues, func(q topology.Queue) bool {
		return q.Phase == step.Phase && q.Name == step.Queue && q.Unattended()
	}) {
		return string(step.Phase) + "/" + step.Queue
	}
	return ""
}
