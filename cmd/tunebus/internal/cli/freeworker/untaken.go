package freeworker

import (
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// takingTime is how long a free worker may take until it says that it has a job.
const takingTime = 5 * time.Second

// Untaken says what a queued job of the run waits for although workers of its queue are
// free. They gave it back, such as a job whose inputs lie on another machine. It is empty
// if no job of the run is queued, if one waits for its next try, or if a worker may be
// about to say that it has taken the job.
func Untaken(run events.Run, queues []topology.Queue, now time.Time) string {
	job, queued := runsummary.Queued(run)
	if !queued || !isGivenBack(job, queues) || now.Sub(offered(run)) < takingTime || waitsForTry(run.Phases[job.Phase]) {
		return ""
	}
	if path := stays(run); path != "" {
		return fmt.Sprintf("a worker of %s/%s in the process that works on the run's data folder, run or up: no other one reads %s where it lies; "+
			"submit a run with --copy-inputs to let any worker take it", job.Phase, job.Queue, path)
	}
	return fmt.Sprintf(`a worker of %s/%s that can take it: one that is free gave it back, and says why in its log ("job given back"); it is offered again within some minutes`,
		job.Phase, job.Queue)
}

// isGivenBack reports whether the queue has free workers, and jobs that were delivered.
func isGivenBack(job events.Step, queues []topology.Queue) bool {
	return slices.ContainsFunc(queues, func(q topology.Queue) bool {
		return q.Phase == job.Phase && q.Name == job.Queue && q.Held > 0 && q.Idle > 0
	})
}

// offered is about when the job that is queued was offered to workers for the first time.
func offered(run events.Run) time.Time {
	at := run.Accepted.RequestedAt
	for _, state := range run.Phases {
		if state.Completed != nil && state.Completed.EndedAt.After(at) {
			at = state.Completed.EndedAt
		}
	}
	return at
}

// waitsForTry reports whether the last attempt failed, so that the next one waits for its
// time.
func waitsForTry(state *events.PhaseState) bool {
	if state == nil || len(state.Attempts) == 0 {
		return false
	}
	end := state.Attempts[len(state.Attempts)-1].Ended
	return end != nil && end.Reason == events.EndError
}

// stays is the path of an input of the run that stays on a machine, the first one by its
// name; empty if there is none.
func stays(run events.Run) string {
	var paths []string
	for _, ref := range run.Accepted.Inputs.References() {
		if localinput.Is(ref) {
			paths = append(paths, ref.Key)
		}
	}
	if len(paths) == 0 {
		return ""
	}
	return slices.Min(paths)
}
