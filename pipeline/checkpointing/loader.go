package checkpointing

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/scratch"
)

// Loader finds the checkpoint that an attempt resumes from.
type Loader struct {
	job      Job
	registry Registry
}

// NewLoader returns the loader of an attempt.
func NewLoader(job Job, r Registry) *Loader { return &Loader{job: job, registry: r} }

// Claim makes the newest checkpoint the attempt's own, so that an earlier
// attempt that still works cannot replace it meanwhile. seen is the newest
// checkpoint before the attempt started; it is returned if the registry cannot
// be reached. The only error is that of a newer attempt, see [IsSuperseded].
func (l *Loader) Claim(ctx context.Context, seen checkpoint.Checkpoint) (checkpoint.Checkpoint, error) {
	cp, err := l.registry.Claim(ctx, l.job.RunID, l.job.Phase, l.job.Attempt)
	switch {
	case err == nil, IsSuperseded(err):
		return cp, err
	case errors.Is(err, checkpoint.ErrNone):
		return checkpoint.Checkpoint{}, nil
	}
	l.job.Logger.WarnContext(ctx, "checkpoint not claimed; resuming from it all the same", "step", seen.Step, "error", err)
	return seen, nil
}

// Fetched is a checkpoint that was fetched and verified. Its Step is 0 and its
// Dir empty where the attempt has to start over.
type Fetched struct {
	Step int64
	Dir  string
	// Notes name the newer checkpoints that could not be used.
	Notes []string
}

// Fetch unpacks the newest checkpoint that verifies into a folder; fetchDir
// does that for one reference. A damaged checkpoint costs work, never truth. A
// store that cannot be read now is an error, because starting over would waste
// the work.
func (l *Loader) Fetch(ctx context.Context, newest checkpoint.Checkpoint, to scratch.Paths,
	fetchDir func(ctx context.Context, ref events.Reference, dir string) error,
) (Fetched, error) {
	var f Fetched
	for _, cp := range newest.History() {
		dir, err := to.Path("resume-" + strconv.FormatInt(cp.Step, 10))
		if err != nil {
			return f, err
		}
		err = fetchDir(ctx, cp.Reference, dir)
		switch {
		case err == nil:
			f.Step, f.Dir = cp.Step, dir
			return f, nil
		case ctx.Err() != nil:
			return f, context.Cause(ctx)
		case !isUnusable(err):
			return f, fmt.Errorf("checkpoint at step %d: %w", cp.Step, err)
		}
		l.job.Logger.WarnContext(ctx, "checkpoint unusable; resuming from an older one, or from the start", "step", cp.Step, "error", err)
		f.Notes = append(f.Notes, fmt.Sprintf("the checkpoint at step %d could not be used: %v", cp.Step, unusableBecause(err)))
	}
	return f, nil
}

// unusableBecause returns why a checkpoint cannot be used, without the path of the
// scratch folder that it was fetched to.
func unusableBecause(err error) error {
	if corrupt, ok := errors.AsType[*artifact.CorruptError](err); ok {
		return corrupt
	}
	if elsewhere, ok := errors.AsType[*artifact.WrongStoreError](err); ok {
		return elsewhere
	}
	return errors.New("it is not in the artifact store any more")
}

// isUnusable reports whether a checkpoint will never become readable.
func isUnusable(err error) bool {
	_, corrupt := errors.AsType[*artifact.CorruptError](err)
	_, elsewhere := errors.AsType[*artifact.WrongStoreError](err)
	return corrupt || elsewhere || errors.Is(err, artifact.ErrNotFound)
}
