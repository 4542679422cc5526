package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	var at stored
	c := &cobra.Command{
		Use: "cancel RUN", Short: "End a run as soon as it can", Args: exactlyOne("RUN"),
		RunE: a.looking(&at, func(ctx context.Context, r *room, args []string) error {
			// One that the stream does not hold may have been archived, or
			// have to be accepted yet.
			run, err := r.find(ctx, at, args[0])
			if err != nil || run.Accepted == nil {
				run, err = soonKnown(ctx, r.bus, args[0])
			}
			if err != nil {
				return err
			}
			done := struct {
				RunID  string        `json:"run_id"`
				Status events.Status `json:"status"`
				// Requested is false where the run had ended before.
				Requested bool `json:"cancel_requested"`
			}{args[0], run.Status(), run.Completed == nil}
			if done.Requested {
				_, err = r.bus.Publish(ctx, events.CancelRequested{RunID: args[0], By: "user", Reason: reason}, bus.Fence{})
				var lost *bus.LostError // somebody asked for it before
				if err != nil && !errors.As(err, &lost) {
					return err
				}
			}
			return a.result(done, func(w io.Writer) {
				if !done.Requested {
					fmt.Fprintf(w, "run %s has ended already: %s\n", args[0], done.Status)
					return
				}
				fmt.Fprintf(w, "cancel of %s requested; \"tunebus watch %s\" shows its end\n", args[0], args[0])
			})
		}),
	}
	at.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

// soonKnown reads a run that may have been submitted a moment ago.
func soonKnown(ctx context.Context, b *bus.Bus, id string) (events.Run, error) {
	wait, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	if !events.ValidToken(id) {
		return events.Run{}, unknownRun(b, id)
	}
	bell, err := b.Ring(wait, events.PipelineAccepted{RunID: id}.Subject())
	if err != nil {
		return events.Run{}, err
	}
	for {
		run, err := b.Run(ctx, id)
		if err != nil || run.Accepted != nil {
			return run, err
		}
		select {
		case <-bell:
		case <-wait.Done():
			if ctx.Err() != nil {
				return run, context.Cause(ctx)
			}
			return run, unknownRun(b, id)
		}
	}
}
