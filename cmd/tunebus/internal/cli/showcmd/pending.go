package showcmd

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/pending"
)

// showPending shows a run that waits for intake. Any other one is an error.
func showPending(ctx context.Context, s *session.Session, server *session.Deployment, id string) error {
	err := server.UnknownOrPending(ctx, id)
	found, ok := errors.AsType[*session.PendingError](err)
	if !ok {
		return err
	}
	return s.Console.Print(pending.Result(pending.Run{RunID: found.RunID, At: found.At}, found.Command))
}

// sayPending says which runs wait for intake. A list of runs does not fail by it.
func sayPending(ctx context.Context, s *session.Session, server *session.Deployment) {
	const most = 100 // of which a line names some
	var first []pending.Run
	n := 0
	err := server.EachPending(ctx, func(u session.PendingError) error {
		if n++; n <= most {
			first = append(first, pending.Run{RunID: u.RunID, At: u.At})
		}
		return nil
	})
	if n > 0 {
		s.Console.Say("%s", pending.Line(first, n))
	}
	if err != nil {
		s.Console.Say("whether requests wait for intake is not known: %v", err)
	}
}
