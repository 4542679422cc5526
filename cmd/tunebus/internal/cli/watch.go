package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus"
)

// await follows a run to its end and takes its exit status over.
func (a *app) await(ctx context.Context, b *bus.Bus, id string, tracking, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &statusError{exitTimeout, fmt.Errorf("run %s did not end within %s; it goes on", id, limit)})
		defer cancel()
	}
	run, err := a.follow(ctx, b, id, tracking)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if err := a.result(summaryOf(run), func(w io.Writer) { table(w, run) }); err != nil {
		return err
	}
	return outcome(run)
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error { return a.await(ctx, b, args[0], 0, 0) }),
	}
}
