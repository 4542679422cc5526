package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel RUN", Short: "End a run as soon as it can", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error {
			run, err := b.Run(ctx, args[0])
			if err != nil {
				return bad(err)
			}
			if run.Completed != nil {
				a.say("run %s has ended already: %s", args[0], run.Status())
				return nil
			}
			_, err = b.Publish(ctx, events.CancelRequested{RunID: args[0], By: "user", Reason: reason}, bus.Fence{})
			var lost *bus.LostError
			if err != nil && !errors.As(err, &lost) {
				return err
			}
			a.say("cancel requested")
			return nil
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}
