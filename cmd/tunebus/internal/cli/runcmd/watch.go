package runcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

type watchFlags struct {
	at    session.Location
	limit time.Duration
	run   string // its id, as far as it is known
}

// Watch is "tunebus watch".
func Watch(s *session.Session) *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: session.ExactlyOne("RUN"),
		Example:           "  tunebus watch last",
		ValidArgsFunction: session.CompleteRuns(s, &f.at),
		RunE: func(c *cobra.Command, args []string) error {
			f.run = args[0]
			over := func(err error) error {
				if _, never := errors.AsType[*conn.UnreachableError](err); never {
					return exit.Timeout(fmt.Errorf("nothing was seen of run %s within %s: %w\nthis follows it:\n  %s", f.run, f.limit, err, s.CommandLine("watch", f.run)))
				}
				return exit.Timeout(fmt.Errorf("run %s did not end within %s; it goes on, and this follows it again:\n  %s", f.run, f.limit, s.CommandLine("watch", f.run)))
			}
			return patience.Within(c.Context(), s.Console, f.limit, over, func(ctx context.Context) error {
				c.SetContext(ctx)
				return session.WithPatience(s, &f.at, &f.limit, f.watch(s))(c, args)
			})
		},
	}
	f.at.AddFlags(c)
	timeflag.WaitVar(c.Flags(), &f.limit, "timeout", 0, "longest wait; 0: none")
	return c
}

// watch is the action of the command.
func (f *watchFlags) watch(s *session.Session) func(context.Context, *session.Deployment, []string) error {
	return func(ctx context.Context, server *session.Deployment, args []string) error {
		id, err := server.RunID(ctx, args[0])
		if err != nil && !conn.IsUnanswered(err) {
			return err
		} else if err != nil {
			id = args[0] // following says that NATS does not answer, and goes on
		}
		f.run = id
		again := s.Repeat(server, id)
		archived, err := archivedOrComing(ctx, server, id)
		if conn.IsUnanswered(err) { // following says so and goes on
			err = nil
		}
		pending, waits := errors.AsType[*session.PendingError](err)
		if waits {
			if server.Folder() != "" {
				return err
			}
			s.Console.Say("%v", pending)
			err = nil
		}
		switch {
		case err != nil:
			return err
		case archived.Completed != nil:
			return follow.End(s.Console, archived, runsummary.Of(archived), again)
		case server.Folder() != "":
			return watchFolder(ctx, s, server, id, again)
		}
		return follow.ToEnd(ctx, s.Console, server.Bus, follow.Run{ID: id, Again: again, Back: s.CommandLine("watch", id), IsPending: waits})
	}
}

// watchFolder shows the end of a run in a data folder. A run that has not ended
// there does not go on by being watched.
func watchFolder(ctx context.Context, s *session.Session, server *session.Deployment, id string, again runsummary.Retry) error {
	run, err := history.New(server.Bus).Run(ctx, id)
	if err != nil {
		return err
	}
	if run.Completed == nil {
		return fmt.Errorf("run %s has not ended, and no service works on %s; this goes on with it:\n  %s",
			id, server.Name(), s.CommandLine("up", "--data", server.Folder()))
	}
	return follow.End(s.Console, run, runsummary.Of(run), again)
}

// archivedOrComing looks for a run that may have ended long ago, or may have
// been submitted a moment ago. It returns the run if it has ended and is
// archived, and the zero run if the stream holds it, so that it can be waited for. The
// error is a [*session.PendingError] if only its request is there.
func archivedOrComing(ctx context.Context, server *session.Deployment, id string) (events.Run, error) {
	if run, err := history.New(server.Bus).Run(ctx, id); run.Completed != nil || codec.IsUndecodable(err) {
		return events.Run{}, nil // following it says more
	}
	run, unknown := server.FindRun(ctx, id)
	switch {
	case run.Completed != nil:
		return run, nil
	case run.Accepted != nil:
		return events.Run{}, nil
	}
	return accepted(ctx, server, id, unknown)
}

// accepted reads a run whose facts were not there a moment ago. The error is a
// [*session.PendingError] if its request waits for intake, and else unknown, or where that is nil
// the usual one of a run that nobody knows. Nothing has to be waited for: whoever asked for a run
// has stored its request.
func accepted(ctx context.Context, server *session.Deployment, id string, unknown error) (events.Run, error) {
	err := server.UnknownOrPending(ctx, id)
	if _, ok := errors.AsType[*session.PendingError](err); ok {
		return events.Run{}, err
	}
	if run, now := server.FindRun(ctx, id); run.Accepted != nil || now != nil { // intake accepted or rejected it just now
		return run, now
	}
	return events.Run{}, cmp.Or(unknown, err)
}
