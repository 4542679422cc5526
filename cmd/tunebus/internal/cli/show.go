package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus"
)

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error {
			run, err := b.Run(ctx, args[0])
			if err != nil {
				return err
			}
			if run.Accepted == nil {
				return bad(fmt.Errorf("run %s is unknown on %s", args[0], b.Server()))
			}
			return a.result(run, func(w io.Writer) {
				fmt.Fprintf(w, "%s (%s): %s\n", run.Accepted.RunName, run.ID, run.Status())
				for _, step := range run.Accepted.Plan {
					fmt.Fprintf(w, "  %-10s %s\n", step.Phase, run.Phases[step.Phase].Status())
				}
			})
		}),
	}
}
