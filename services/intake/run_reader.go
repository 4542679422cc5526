package intake

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// newerVersionDelay is the redelivery delay of a message about a run with an
// event of a newer version.
const newerVersionDelay = 10 * time.Second

// runReader reads runs for handlers that need all facts of a run.
type runReader struct {
	runs Runs
	log  *slog.Logger
}

// read returns a run. If the run has a fact of a newer version, the error is a
// [delivery.RetryAfter], because a newer intake can read it. If the run is damaged, the
// error is a [delivery.DeadLetterError], because only a person can help.
func (r runReader) read(ctx context.Context, id string) (events.Run, error) {
	run, err := r.runs.Run(ctx, id)
	if _, newer := errors.AsType[*events.UnknownVersionError](err); newer {
		r.log.Warn("the run has an event of a newer version; retrying later, for a newer intake", "run", id, "error", err)
		return run, &delivery.RetryAfter{Delay: newerVersionDelay, Err: err}
	}
	if isUnreadable(err) {
		return run, &delivery.DeadLetterError{Err: err}
	}
	return run, err
}

// isUnreadable reports whether a run exists but has a fact that can not be read
// by this program, or is damaged in the archive.
func isUnreadable(err error) bool {
	_, newer := errors.AsType[*events.UnknownVersionError](err)
	_, malformed := errors.AsType[*events.MalformedError](err)
	return newer || malformed || errors.Is(err, archive.ErrDamaged)
}
