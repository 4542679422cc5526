package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// late is the newest checkpoint of an attempt that is stored, and that nobody
// was told of since NATS was away. It is pointed at when NATS is back: else a
// worker that is killed soon after an outage would cost the work since the
// last checkpoint before it.
type late struct {
	mu   sync.Mutex // held while a checkpoint is pointed at, so that a newer one is never replaced
	cp   checkpoint.Checkpoint
	keep int
	// tried says that NATS may have been told of it after all; its answer was
	// lost.
	tried bool
	// unsure are older ones of which it may have been told, until a newer one
	// is known to be stored.
	unsure []checkpoint.Checkpoint
	over   bool // the attempt has ended
	// came rings when there is a late one.
	came chan struct{}
}

func newLate() *late { return &late{came: make(chan struct{}, 1)} }

// point points at a checkpoint that is stored. One that cannot be pointed at
// now becomes the late one.
func (w *Worker) point(ctx context.Context, c *claim, cp checkpoint.Checkpoint, keep int) (err error) {
	c.late.mu.Lock()
	defer c.late.mu.Unlock()
	defer func() {
		if err != nil {
			select {
			case c.late.came <- struct{}{}:
			default: // it has not been heard yet
			}
		}
	}()
	before, tried := c.late.cp, c.late.tried
	c.late.cp, c.late.keep, c.late.tried = cp, keep, false
	switch {
	case before.Step > 0 && tried: // it may be the one that a later attempt goes on from
		c.late.unsure = append(c.late.unsure, before)
	case before.Step > 0:
		w.drop(ctx, c, before)
	}
	if !w.bus.Connected() { // the work would wait
		return errAway
	}
	return w.pointAt(ctx, c)
}

// lateAgain is when a late checkpoint is tried again: a server that has just
// come back may not store yet.
const lateAgain = time.Second

// pointLate points at the late checkpoint, if there is one and NATS is back.
// It reports whether that need not be tried again soon.
func (w *Worker) pointLate(ctx context.Context, c *claim) bool {
	c.late.mu.Lock()
	defer c.late.mu.Unlock()
	if c.late.over || c.late.cp.Step == 0 || !w.bus.Connected() {
		return true
	}
	step := c.late.cp.Step
	if err := w.pointAt(ctx, c); err != nil {
		w.log(ctx, slog.LevelWarn, c, "late checkpoint not saved either", "step", step, "error", err)
		return false
	}
	w.log(ctx, slog.LevelInfo, c, "late checkpoint saved", "step", step)
	return true
}

// settle ends the pointing at late checkpoints: the attempt is over.
func (l *late) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// pointAt points at the late checkpoint, and drops those that are too many
// afterwards, so that there always is one.
func (w *Worker) pointAt(ctx context.Context, c *claim) error {
	cp := c.late.cp
	saved, dropped, err := checkpoint.New(w.bus).Save(ctx, c.req.RunID, c.req.Phase, cp, c.late.keep)
	if err != nil {
		c.late.tried = true
		return fmt.Errorf("checkpoint at step %d: %w", cp.Step, err)
	}
	failpoint.Here(failpoint.CheckpointRegistered)
	for _, old := range c.late.unsure {
		if !slices.ContainsFunc(saved.History(), func(kept checkpoint.Checkpoint) bool { return kept.Reference.Key == old.Reference.Key }) {
			dropped = append(dropped, old)
		}
	}
	c.late.cp, c.late.tried, c.late.unsure = checkpoint.Checkpoint{}, false, nil
	for _, old := range dropped {
		w.drop(ctx, c, old)
	}
	return nil
}

func (w *Worker) drop(ctx context.Context, c *claim, old checkpoint.Checkpoint) {
	if err := w.store.Delete(ctx, old.Reference.Key); err != nil && !errors.Is(err, artifact.ErrNotFound) {
		w.log(ctx, slog.LevelWarn, c, "old checkpoint not dropped", "step", old.Step, "error", err)
	}
}
