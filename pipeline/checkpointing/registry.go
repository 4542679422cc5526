package checkpointing

import (
	"context"
	"errors"
	"log/slog"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
)

// Registry names the newest checkpoint of each job.
type Registry interface {
	// Load returns the newest checkpoint of a job.
	Load(ctx context.Context, run string, p events.Phase) (checkpoint.Checkpoint, error)
	// Claim returns it and makes it the attempt's own, so that no earlier
	// attempt can replace it.
	Claim(ctx context.Context, run string, p events.Phase, attempt int) (checkpoint.Checkpoint, error)
	// Save registers a checkpoint, and keeps keep of them. dropped are those
	// that are not registered any more.
	Save(ctx context.Context, run string, p events.Phase, cp checkpoint.Checkpoint, keep int) (
		saved checkpoint.Checkpoint, dropped []checkpoint.Checkpoint, err error)
	// Delete removes the entry of a job.
	Delete(ctx context.Context, run string, p events.Phase) error
}

// Job names an attempt at a phase.
type Job struct {
	RunID   string
	Phase   events.Phase
	Attempt int
	Logger  *slog.Logger
}

// IsSuperseded reports whether an error means that a newer attempt has the
// job's checkpoints.
func IsSuperseded(err error) bool {
	_, ok := errors.AsType[*checkpoint.SupersededError](err)
	return ok
}

// Latest returns the newest checkpoint of a job; the zero Checkpoint if there
// is none.
func Latest(ctx context.Context, r Registry, run string, p events.Phase) (checkpoint.Checkpoint, error) {
	cp, err := r.Load(ctx, run, p)
	if errors.Is(err, checkpoint.ErrNone) {
		return checkpoint.Checkpoint{}, nil
	}
	return cp, err
}
