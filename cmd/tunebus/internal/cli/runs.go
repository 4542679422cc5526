package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus"
)

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "List the runs", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, b *bus.Bus, _ []string) error {
			ids, err := b.RunIDs(ctx)
			if err != nil {
				return err
			}
			var list []runSummary
			for _, id := range ids {
				run, err := b.Run(ctx, id)
				if err != nil {
					return err
				}
				list = append(list, summaryOf(run))
			}
			return a.result(list, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "RUN\tNAME\tSTATUS\tSECONDS")
				for _, r := range list {
					fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\n", r.RunID, r.RunName, r.Status, r.Seconds)
				}
				_ = t.Flush() // to a person's screen
			})
		}),
	}
}
