package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// listedRun is a run in the list.
type listedRun struct {
	runSummary
	// WaitsFor is the queue whose workers are missing.
	WaitsFor string `json:"waits_for_worker_of,omitempty"`
}

func (a *app) runsCommand() *cobra.Command {
	var at stored
	var archived bool
	c := &cobra.Command{
		Use: "runs", Short: "List the runs", Args: cobra.NoArgs,
		RunE: a.looking(&at, func(ctx context.Context, r *room, _ []string) error {
			find := history.New(r.bus).Run
			ids, err := runindex.New(r.bus).Accepted(ctx)
			if err == nil && archived {
				var old []string
				if old, err = r.archived(ctx, at); err == nil {
					ids = append(ids, old...)
					find = archive.NewReader(r.bus, r.store).Run
				}
			}
			if err != nil {
				return err
			}
			slices.Sort(ids)
			queues, err := topology.NewInspector(r.bus).Queues(ctx)
			if err != nil {
				return err
			}
			list := []listedRun{}
			for _, id := range slices.Compact(ids) {
				run, err := find(ctx, id)
				if codec.IsUndecodable(err) { // one does not hide the others
					a.say("run %s: %v", id, err)
				} else if err != nil {
					return err
				}
				if err != nil && run.Accepted == nil {
					list = append(list, listedRun{runSummary: runSummary{RunID: id, Status: "unreadable"}})
					continue
				}
				list = append(list, listedRun{summaryOf(run), unattended(run, queues)})
			}
			if n, err := deadletter.New(r.bus).Count(ctx); err == nil && n > 0 {
				a.say("%d dead letters are there: \"tunebus dlq list\" says why", n)
			}
			return a.result(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintf(w, "%s knows no runs yet\n", r.bus.Server())
					return
				}
				table(w, list, "RUN\tNAME\tSTATUS\tSECONDS\t", func(r listedRun) string {
					waits := ""
					if r.WaitsFor != "" {
						waits = "no worker for " + r.WaitsFor
					}
					return fmt.Sprintf("%s\t%s\t%s\t%.1f\t%s", r.RunID, r.RunName, r.Status, r.Seconds, waits)
				})
			})
		}),
	}
	at.flags(c)
	c.Flags().BoolVar(&archived, "archived", false, "list the archived runs too")
	return c
}

// unattended is the queue that the job of a run waits in, if nobody takes jobs
// from it.
func unattended(run events.Run, queues []topology.Queue) string {
	if run.Completed != nil || run.Accepted == nil {
		return ""
	}
	for _, step := range run.Accepted.Plan {
		p := run.Phases[step.Phase]
		if p.Status() != events.StatusQueued {
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
