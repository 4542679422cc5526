package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
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
func (a *app) await(ctx context.Context, b *conn.Conn, w awaited) error {
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
	return a.ended(run, w.again)
}

// ended shows a run that has ended, and is its exit status.
func (a *app) ended(run events.Run, again string) error {
	s := summaryOf(run)
	if err := a.result(s, func(out io.Writer) { closing(out, run, s, again) }); err != nil {
		return err
	}
	return outcome(run)
}

func (a *app) watchCommand() *cobra.Command {
	var limit time.Duration
	var at stored
	c := &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: exactlyOne("RUN"),
		RunE: a.looking(&at, func(ctx context.Context, r *room, args []string) error {
			w := awaited{id: args[0], again: "tunebus submit --config FILE", limit: limit}
			old, err := r.archivedOrAwaited(ctx, at, w.id)
			switch {
			case err != nil:
				return err
			case old.Completed != nil:
				return a.ended(old, w.again)
			}
			return a.await(ctx, r.bus, w)
		}),
	}
	at.artifactsFlag(c)
	c.Flags().DurationVar(&limit, "timeout", 0, "longest wait; 0: none")
	return c
}

// archivedOrAwaited looks for a run that may be over long since, or have been
// submitted a moment ago. The zero run is one that can be waited for: the
// server knows it, or its request, which nobody has answered yet. The run is
// returned if it has ended and is archived.
func (r *room) archivedOrAwaited(ctx context.Context, at stored, id string) (events.Run, error) {
	if run, err := history.New(r.bus).Run(ctx, id); run.Completed != nil || codec.IsUndecodable(err) {
		return events.Run{}, nil // following it tells more
	}
	run, unknown := r.find(ctx, at, id)
	switch {
	case run.Completed != nil:
		return run, nil
	case run.Accepted != nil:
		return events.Run{}, nil
	}
	asked := false
	err := requestlog.New(r.bus).Pending(ctx, func(run string, _ json.RawMessage) error {
		asked = asked || run == id
		return nil
	})
	if err != nil || asked {
		return events.Run{}, err
	}
	_, err = soonKnown(ctx, r.bus, id)
	if errors.Is(err, errUnknownRun) && unknown != nil {
		err = unknown // which says more
	}
	return events.Run{}, err
}
