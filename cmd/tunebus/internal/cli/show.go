package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
)

func (a *app) showCommand() *cobra.Command {
	var at stored
	c := &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: exactlyOne("RUN"),
		RunE: a.looking(&at, func(ctx context.Context, r *room, args []string) error {
			run, err := r.find(ctx, at, args[0])
			var bad *history.UnreadableError
			if errors.As(err, &bad) && run.Accepted != nil {
				err = nil // the rest is shown
			}
			if err != nil {
				return err
			}
			if run.Accepted == nil {
				return unknownRun(r.bus, args[0])
			}
			out := shownRun{Summary: pipelinesummary.Of(run)}
			if bad != nil {
				out.Unreadable = bad.Facts
			}
			return a.result(out, func(w io.Writer) {
				s := summaryOf(run)
				s.told = attempts(run, 1)
				closing(w, run, s, "tunebus submit --config FILE")
				notes(w, run)
				for _, f := range out.Unreadable {
					fmt.Fprintf(w, "\n%s\n", f)
				}
			})
		}),
	}
	at.flags(c)
	return c
}

// shownRun is what is known of a run, for scripts.
type shownRun struct {
	pipelinesummary.Summary
	// Unreadable are the facts of which nothing is known.
	Unreadable []history.UnreadableFact `json:"unreadable,omitempty"`
}

var errUnknownRun = errors.New("\"tunebus runs\" lists those that it knows")

func unknownRun(b *conn.Conn, id string) error {
	return bad(fmt.Errorf("run %s is unknown on %s; %w", id, b.Server(), errUnknownRun))
}

// notes writes what was asked for and could not be honoured.
func notes(w io.Writer, run events.Run) {
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Completed != nil {
			for _, n := range p.Completed.Notes {
				fmt.Fprintf(w, "\nnote of %s: %s\n", step.Phase, n)
			}
		}
	}
}
