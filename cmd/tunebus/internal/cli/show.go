package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/services/tracker/report"
)

func (a *app) showCommand() *cobra.Command {
	var at stored
	c := &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: exactlyOne("RUN"),
		RunE: a.looking(&at, func(ctx context.Context, r *room, args []string) error {
			run, err := r.find(ctx, at, args[0])
			if err != nil {
				return err
			}
			if run.Accepted == nil {
				return unknownRun(r.bus, args[0])
			}
			return a.result(report.SummarisePipeline(run), func(w io.Writer) {
				s := summaryOf(run)
				s.told = attempts(run, 1)
				closing(w, run, s, "tunebus submit --config FILE")
				notes(w, run)
			})
		}),
	}
	at.flags(c)
	return c
}

func unknownRun(b *bus.Bus, id string) error {
	return bad(fmt.Errorf("run %s is unknown on %s; \"tunebus runs\" lists those that it knows", id, b.Server()))
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
