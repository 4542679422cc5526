package worker

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// tidy drops what a completed phase needs no more: its checkpoints, and
// whatever its attempts stored that the completed fact does not refer to, such
// as the results of an attempt that was killed before it could complete. It
// may be repeated. What cannot be dropped now is left to the collection of
// what no run refers to.
func (w *Worker) tidy(ctx context.Context, fact events.PhaseCompleted) {
	log := w.cfg.Logger.With("run", fact.RunID, "phase", fact.Phase)
	if err := checkpoint.New(w.bus).Delete(ctx, fact.RunID, fact.Phase); err != nil {
		log.WarnContext(ctx, "checkpoints not dropped", "error", err)
		return // they would point at nothing
	}
	failpoint.Here(failpoint.CheckpointUnregistered)
	needed := map[string]bool{}
	for _, a := range fact.Artifacts {
		needed[a.Reference.Key] = true
	}
	prefix, err := artifact.RunPrefix(fact.RunID)
	if err == nil {
		err = w.dropBelow(ctx, prefix+string(fact.Phase)+"/", needed)
	}
	if err != nil {
		log.WarnContext(ctx, "artifacts that nobody needs not dropped", "error", err)
	}
}

// dropAttempt drops everything that an attempt stored, but for the checkpoints
// that a later one may go on from. Without an answer about these everything
// stays, until the phase is completed.
func (w *Worker) dropAttempt(ctx context.Context, c *claim) {
	newest, err := w.checkpoint(ctx, c.req)
	needed := map[string]bool{}
	for _, cp := range newest.History() {
		needed[cp.Reference.Key] = true
	}
	var prefix string
	if err == nil {
		prefix, err = artifact.RunPrefix(c.req.RunID)
	}
	if err == nil {
		err = w.dropBelow(ctx, prefix+string(c.req.Phase)+"/"+strconv.Itoa(c.attempt)+"/", needed)
	}
	if err != nil {
		w.log(ctx, slog.LevelWarn, c, "artifacts of the attempt not dropped", "error", err)
	}
}

// dropBelow deletes the artifacts whose keys begin with prefix, but for those
// that are needed.
func (w *Worker) dropBelow(ctx context.Context, prefix string, needed map[string]bool) error {
	for o, err := range w.store.List(ctx, prefix) {
		failpoint.Here(failpoint.JobDropped)
		if err == nil && !needed[o.Key] {
			err = w.store.Delete(ctx, o.Key)
		}
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
	}
	return nil
}
