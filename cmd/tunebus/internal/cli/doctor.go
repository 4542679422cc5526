package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look whether the server has what the services need", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, b *bus.Bus, _ []string) error {
			var rows []string
			for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamDead} {
				fill, err := b.Fill(ctx, stream)
				if err != nil {
					return fmt.Errorf("%w; \"tunebus setup\" creates what is missing", err)
				}
				rows = append(rows, fmt.Sprintf("stream %s: %.1f %% full", stream, 100*fill))
			}
			return a.result(rows, func(w io.Writer) {
				for _, r := range rows {
					fmt.Fprintln(w, r)
				}
			})
		}),
	}
}
