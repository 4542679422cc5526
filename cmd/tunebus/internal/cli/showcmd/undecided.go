package showcmd

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/undecided"
)

// showUndecided shows a run that waits for intake. Any other one is an error.
func showUndecided(ctx context.Context, s *session.Session, server *session.Deployment, id string) error {
	err := server.UnknownOrUndecided(ctx, id)
	found, ok := errors.AsType[*session.UndecidedError](err)
	if !ok {
		return err
	}
	return s.Console.Print(undecided.Result(undecided.Run{RunID: found.RunID, At: found.At}, found.Command))
}

// sayUndecided says which runs wait for intake. A list of runs does not fail by it.
func sayUndecided(ctx context.Context, s *session.Session, server *session.Deployment) {
	const most = 100 // of which a line names some
	var first []undecided.Run
	n := 0
	err := server.Undecided(ctx, func(u session.UndecidedError) error {
		if n++; n <= most {
			first = append(first, undecided.Run{RunID: u.RunID, At: u.At})
		}
		return nil
	})
	if n > 0 {
		s.Console.Say("%s", undecided.Line(first, n))
	}
	if err != nil {
		s.Console.Say("whether requests wait for intake is not known: %v", err)
	}
}
