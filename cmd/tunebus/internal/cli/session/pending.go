package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/services/intake/request"
)

// PendingError means that a run waits for intake: its request is stored, and no intake has
// looked at it.
type PendingError struct {
	RunID string
	// At is when the request was stored.
	At time.Time
	// Command looks what is wrong.
	Command string
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("run %s is waiting for intake: its request was stored at %s, and no intake has looked at it; start tunebus-intake, or look with `%s`",
		e.RunID, e.At.Local().Format(time.DateTime), e.Command)
}

// UnknownOrPending is the error of a run that the server does not hold: an
// [*PendingError] if its request waits for intake.
func (s *Deployment) UnknownOrPending(ctx context.Context, id string) error {
	var found *PendingError
	err := s.EachPending(ctx, func(u PendingError) error {
		if u.RunID != id {
			return nil
		}
		found = &u
		return errStop
	})
	if found == nil || err != nil && !errors.Is(err, errStop) {
		return s.UnknownRun(id)
	}
	return found
}

var errStop = errors.New("found")

// EachPending calls each for every run that waits for intake, the one that was requested first
// at the beginning.
func (s *Deployment) EachPending(ctx context.Context, each func(PendingError) error) error {
	return requestlog.New(s.Bus).EachPending(ctx, runOf, func(r requestlog.Request) error {
		return each(PendingError{RunID: runOf(r), At: r.Time, Command: s.doctor})
	})
}

// runOf is the id that the run of a request gets.
func runOf(r requestlog.Request) string {
	asked, _ := r.Event.(events.PipelineRequested)
	return cmp.Or(asked.RunID, request.RunID(r.Stream, r.Sequence, r.Time))
}
