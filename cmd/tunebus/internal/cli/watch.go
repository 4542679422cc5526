package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus"
)

// awaited is a run to wait for.
type awaited struct {
	id      string
	request uint64 // the sequence of its request; 0: unknown
	again   string // what asks for the same once more
	// tracking is how long to wait for MLflow behind the end, limit the
	// longest wait of all; 0: none.
	tracking, limit time.Duration
}

// await follows a run to its end and takes its exit status over.
func (a *app) await(ctx context.Context, b *bus.Bus, w awaited) error {
	if w.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.limit, &statusError{exitTimeout, fmt.Errorf("run %s did not end within %s; it goes on", w.id, w.limit)})
		defer cancel()
	}
	run, err := a.follow(ctx, b, w.id, w.request, w.tracking)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	s := summaryOf(run)
	if err := a.result(s, func(out io.Writer) { closing(out, run, s, w.again) }); err != nil {
		return err
	}
	return outcome(run)
}

func (a *app) watchCommand() *cobra.Command {
	var limit time.Duration
	c := &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error {
			return a.await(ctx, b, awaited{id: args[0], again: "tunebus submit --config FILE", limit: limit})
		}),
	}
	c.Flags().DurationVar(&limit, "timeout", 0, "longest wait; 0: none")
	return c
}
