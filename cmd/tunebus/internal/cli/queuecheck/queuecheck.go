// Package queuecheck looks at the queues by the runs whose jobs they hold.
//
//	found = queuecheck.LookAtJobs(ctx, b, settings, queues, held, found)
package queuecheck

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/layout"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// LookAtJobs looks at the queues once more, by the runs whose jobs they hold: a job of a run
// that has ended needs no worker, and a queue without its consumer is not in the list.
func LookAtJobs(ctx context.Context, b *conn.Conn, cfg settings.Settings, queues []topology.Queue, held []heldslot.Record, found []view.Finding) []view.Finding {
	open, err := runlister.OpenJobs(ctx, runlister.New(b))
	if err != nil {
		found = append(found, view.Finding{Name: "jobs", State: view.StateBroken, Says: err.Error()})
	}
	for i, f := range found {
		for _, q := range queues {
			if err == nil && f.Name == queueRow(q.Phase, q.Name) && !holds(held, q) {
				found[i] = ofEndedRuns(f, q, open[events.Step{Phase: q.Phase, Queue: q.Name}])
			}
		}
	}
	return append(found, missingQueues(layout.Queues(cfg), queues, open)...)
}

// queueRow is the name of the finding about a queue.
func queueRow(p events.Phase, name string) string { return fmt.Sprintf("queue %s/%s", p, name) }

func holds(held []heldslot.Record, q topology.Queue) bool {
	return slices.ContainsFunc(held, func(h heldslot.Record) bool { return h.Phase == q.Phase && h.Queue == q.Name })
}

// ofEndedRuns says of a queue without a free worker how many of its jobs are of runs that have
// ended. Of open runs are open jobs, which wait or are delivered.
func ofEndedRuns(f view.Finding, q topology.Queue, open int) view.Finding {
	switch {
	case q.Idle > 0 || q.Waiting == 0 && f.Do == "":
	case open == 0:
		f.State, f.Says, f.Do = view.StateOK, f.Says+"; they are of runs that have ended, and the next worker drops them", ""
	case q.Held == 0 && open < q.Waiting:
		f.Says += fmt.Sprintf("; %d of those that wait are of runs that have ended", q.Waiting-open)
	}
	return f
}

// missingQueues names the queues that have no consumer: of those that setup creates, and of
// those that jobs of open runs are in.
func missingQueues(usual map[events.Phase][]string, queues []topology.Queue, open map[events.Step]int) (found []view.Finding) {
	for _, p := range events.Phases() {
		names := map[string]bool{} // whether setup creates the queue unasked
		for job := range open {
			if job.Phase == p {
				names[job.Queue] = false
			}
		}
		for _, name := range usual[p] {
			names[name] = true
		}
		for _, q := range queues {
			if q.Phase == p {
				delete(names, q.Name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			f := view.Finding{Name: queueRow(p, name), State: view.StateBroken, Do: `"tunebus setup" creates what is missing`}
			if !names[name] {
				f.Do = fmt.Sprintf(`"tunebus setup --queue %s=%s" creates it`, p, name)
			}
			missing := []string{"its consumer " + topology.JobConsumer(p, name) + " is missing", "no run that needs it is accepted"}
			if n := open[events.Step{Phase: p, Queue: name}]; n > 0 {
				missing = append(missing, "no worker gets the "+view.Count(n, "job")+" in it")
			}
			f.Says = strings.Join(missing, ", ")
			found = append(found, f)
		}
	}
	return found
}
