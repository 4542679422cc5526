package phase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// checkpoint reads the newest checkpoint of a job; none is the zero one.
func (w *Worker) checkpoint(ctx context.Context, req events.PhaseRequested) (bus.Checkpoint, error) {
	cp, err := w.bus.LoadCheckpoint(ctx, req.RunID, req.Phase)
	if errors.Is(err, bus.ErrNothing) {
		return bus.Checkpoint{}, nil
	}
	return cp, err
}

// saveCheckpoint stores a folder and points at it. The one before is dropped
// afterwards, so that there always is one. A checkpoint that cannot be saved
// costs a later attempt work, so only a newer attempt's is an error.
func (w *Worker) saveCheckpoint(ctx context.Context, j *Job, step int64, dir string) error {
	if err := j.meter.snapshot(filepath.Join(dir, metricsFile)); err != nil {
		return err
	}
	err := w.pointAtCheckpoint(ctx, j, step, dir)
	var lost *bus.LostError
	if err == nil || errors.As(err, &lost) || ctx.Err() != nil {
		return err
	}
	w.log(ctx, slog.LevelWarn, j.claim, "checkpoint not saved; going on", "step", step, "error", err)
	return nil
}

func (w *Worker) pointAtCheckpoint(ctx context.Context, j *Job, step int64, dir string) error {
	failpoint.Here(failpoint.CheckpointWritten)
	a, err := j.putDir(ctx, "checkpoint-"+strconv.FormatInt(step, 10), dir)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.CheckpointStored)
	before, err := w.checkpoint(ctx, j.Request)
	if err != nil {
		return err
	}
	cp := bus.Checkpoint{Attempt: j.Attempt, Step: step, Reference: a.Reference}
	if err := w.bus.SaveCheckpoint(ctx, j.Request.RunID, j.Request.Phase, cp); err != nil {
		return fmt.Errorf("checkpoint at step %d: %w", step, err)
	}
	failpoint.Here(failpoint.CheckpointPointed)
	j.claim.saved.Store(true)
	if before.Reference.Key != "" && before.Reference.Key != a.Reference.Key {
		w.drop(ctx, j.claim, before.Reference)
	}
	return nil
}

// dropCheckpoint forgets the checkpoint of a phase that is completed.
func (w *Worker) dropCheckpoint(ctx context.Context, c claim) {
	cp, err := w.checkpoint(ctx, c.req)
	if err != nil || cp.Reference.Key == "" {
		return
	}
	if err := w.bus.DeleteCheckpoint(ctx, c.req.RunID, c.req.Phase); err != nil {
		w.log(ctx, slog.LevelWarn, c, "checkpoint not dropped", "error", err)
		return
	}
	failpoint.Here(failpoint.CheckpointForgotten)
	w.drop(ctx, c, cp.Reference)
}

func (w *Worker) drop(ctx context.Context, c claim, ref events.Reference) {
	if err := w.store.Delete(ctx, ref.Key); err != nil && !errors.Is(err, artifact.ErrNotFound) {
		w.log(ctx, slog.LevelWarn, c, "old checkpoint not dropped", "key", ref.Key, "error", err)
	}
}

// dropAttempt drops everything that an attempt stored, but for the checkpoint
// that the new holder goes on from. Without an answer about that, everything
// stays, for the collection of what no run refers to.
func (w *Worker) dropAttempt(ctx context.Context, c claim) {
	const any = "x"
	key, err := artifact.Key(c.req.RunID, c.req.Phase, c.attempt, any)
	if err != nil {
		return // then nothing can have been stored
	}
	newest, err := w.checkpoint(ctx, c.req)
	if err != nil {
		w.log(ctx, slog.LevelWarn, c, "artifacts of a lost attempt not dropped", "error", err)
		return
	}
	for o, err := range w.store.List(ctx, key[:len(key)-len(any)]) {
		failpoint.Here(failpoint.JobDropped)
		if err == nil && o.Key != newest.Reference.Key {
			err = w.store.Delete(ctx, o.Key)
		}
		if err != nil {
			w.log(ctx, slog.LevelWarn, c, "artifact of a lost attempt not dropped", "key", o.Key, "error", err)
			return
		}
	}
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
