package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
)

// PendingError means that a run waits for intake: its request is stored, and no intake has
// looked at it.
type PendingError struct {
	RunID string
	// At is when the request was stored.
	At time.Time
	// Do says what has an intake look at it.
	Do string
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("run %s is waiting for intake: its request was stored at %s, and no intake has looked at it; %s",
		e.RunID, e.At.Local().Format(time.DateTime), e.Do)
}

// UnknownOrPending is the error of a run that the server does not hold: an
// [*PendingError] if its request waits for intake.
func (s *Deployment) UnknownOrPending(ctx context.Context, id string) error {
	var found *PendingError
	err := waiting.Each(ctx, s.Bus, func(w waiting.Request) error {
		if w.RunID != id {
			return nil
		}
		found = &PendingError{RunID: id, At: w.At, Do: cmp.Or(waiting.Full(ctx, s.Bus), s.startsIntake())}
		return errStop
	})
	if found == nil || err != nil && !errors.Is(err, errStop) {
		return s.UnknownRun(id)
	}
	return found
}

var errStop = errors.New("found")

// startsIntake says what has an intake look at a request that waits for one.
func (s *Deployment) startsIntake() string {
	switch {
	case s.folder != "":
		return fmt.Sprintf("`%s` does it", s.command("up", "--data", s.folder))
	case s.owner.Data != "" && !s.owner.IsUp(): // it may have been told to leave the request alone
		return fmt.Sprintf("when the %s that works on the data folder has ended without it, `%s` does it", s.owner, s.command("up", "--data", s.owner.Data))
	}
	return fmt.Sprintf("start tunebus-intake, or look with `%s`", s.command("doctor"))
}
