package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

var errAway = errors.New("NATS is away; the checkpoint is stored, and saved when NATS is back")

// mostKept is how many checkpoints of a job are kept where nobody wants less.
const mostKept = 64

// checkpoint reads the newest checkpoint of a job; none is the zero one.
func (w *Worker) checkpoint(ctx context.Context, req events.PhaseRequested) (checkpoint.Checkpoint, error) {
	cp, err := checkpoint.New(w.bus).Load(ctx, req.RunID, req.Phase)
	if errors.Is(err, checkpoint.ErrNone) {
		return checkpoint.Checkpoint{}, nil
	}
	return cp, err
}

// takeCheckpoint makes the newest checkpoint the attempt's own, so that an
// earlier attempt that is still at work cannot replace it under its hands.
// seen is what it was before the attempt started. The error is a
// [*checkpoint.SupersededError] when a newer attempt took it.
func (w *Worker) takeCheckpoint(ctx context.Context, c *claim, seen checkpoint.Checkpoint) (checkpoint.Checkpoint, error) {
	cp, err := checkpoint.New(w.bus).Claim(ctx, c.req.RunID, c.req.Phase, c.attempt)
	var lost *checkpoint.SupersededError
	switch {
	case err == nil, errors.As(err, &lost):
		return cp, err
	case errors.Is(err, checkpoint.ErrNone):
		return checkpoint.Checkpoint{}, nil
	}
	w.log(ctx, slog.LevelWarn, c, "checkpoint not taken over; going on from it all the same", "step", seen.Step, "error", err)
	return seen, nil
}

// saveCheckpoint stores a folder and points at it. Those that are too many are
// dropped afterwards, so that there always is one. A checkpoint that cannot be
// saved costs a later attempt work, so only a newer attempt's is an error.
func (w *Worker) saveCheckpoint(ctx context.Context, j *Job, step int64, dir string, keep int) error {
	if err := j.meter.snapshot(filepath.Join(dir, metricsFile)); err != nil {
		return err
	}
	err := w.pointAtCheckpoint(ctx, j, step, dir, keep)
	var lost *checkpoint.SupersededError
	if err == nil || errors.As(err, &lost) || ctx.Err() != nil {
		return err
	}
	w.log(ctx, slog.LevelWarn, j.claim, "checkpoint not saved; going on", "step", step, "error", err)
	return nil
}

func (w *Worker) pointAtCheckpoint(ctx context.Context, j *Job, step int64, dir string, keep int) error {
	failpoint.Here(failpoint.CheckpointWritten)
	a, err := j.putDir(ctx, "checkpoint-"+strconv.FormatInt(step, 10), dir)
	if err != nil {
		return err
	}
	j.claim.saved.Store(true)
	failpoint.Here(failpoint.CheckpointStored)
	if keep < 1 || keep > mostKept {
		keep = mostKept
	}
	return w.point(ctx, j.claim, checkpoint.Checkpoint{Attempt: j.Attempt, Step: step, Reference: a.Reference}, keep)
}

// Saving is the context under which a checkpoint may be saved. While the work
// goes on it is ctx. After it has ended it is one of its own, short of the
// time that the end of the process has; ok is false where nobody would go on
// from the checkpoint, since the job was lost, cancelled, or given up. done
// has to be called.
func (j *Job) Saving(ctx context.Context) (saving context.Context, done context.CancelFunc, ok bool) {
	if ctx.Err() == nil {
		return ctx, func() {}, true
	}
	if !errors.Is(context.Cause(ctx), context.Canceled) { // whoever stops the work alone says why
		return ctx, func() {}, false
	}
	saving, done = context.WithTimeout(context.WithoutCancel(ctx), j.worker.cfg.Grace*2/5)
	return saving, done, true
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
