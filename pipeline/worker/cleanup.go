package worker

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"path"
	"strconv"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// listStore is the artifact store as the cleaner needs it.
type listStore interface {
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
	Delete(ctx context.Context, key string) error
}

// cleaner deletes artifacts and checkpoints that nothing needs any more. Its
// methods may be repeated. They log what they could not delete; garbage
// collection deletes that later.
type cleaner struct {
	registry checkpointing.Registry
	store    listStore
	patience time.Duration // how long the registry is asked again
	log      *slog.Logger
}

// cleanPhase deletes the checkpoints of a completed phase, and the artifacts of
// its attempts that the completed fact does not refer to, such as those of an
// attempt that was killed.
func (c *cleaner) cleanPhase(ctx context.Context, fact events.PhaseCompleted) {
	log := c.log.With("run", fact.RunID, "phase", fact.Phase)
	if err := checkpointing.AskAgain(ctx, c.patience, func() error { return c.registry.Delete(ctx, fact.RunID, fact.Phase) }); err != nil {
		log.WarnContext(ctx, "checkpoints not deleted", "error", err)
		return // the registry would name artifacts that are gone
	}
	failpoint.Here(failpoint.CheckpointUnregistered)
	needed := neededKeys{}
	for _, a := range fact.Artifacts {
		needed.add(a.Reference)
	}
	prefix, err := artifact.RunPrefix(fact.RunID)
	if err == nil {
		err = c.deleteBelow(ctx, prefix+string(fact.Phase)+"/", needed)
	}
	if err != nil {
		log.WarnContext(ctx, "unused artifacts not deleted", "error", err)
	}
}

// cleanLostAttempt deletes everything that an attempt stored, except the
// checkpoints that a later attempt may resume from. If the registry cannot be
// read, everything stays until the phase is completed.
func (c *cleaner) cleanLostAttempt(ctx context.Context, a *attempt) {
	var newest checkpoint.Checkpoint
	err := checkpointing.AskAgain(ctx, c.patience, func() (err error) {
		newest, err = checkpointing.Latest(ctx, c.registry, a.req.RunID, a.req.Phase)
		return err
	})
	needed := neededKeys{}
	for _, cp := range newest.History() {
		needed.add(cp.Reference)
	}
	var prefix string
	if err == nil {
		prefix, err = artifact.RunPrefix(a.req.RunID)
	}
	if err == nil {
		err = c.deleteBelow(ctx, prefix+string(a.req.Phase)+"/"+strconv.Itoa(a.number)+"/", needed)
	}
	if err != nil {
		a.log.WarnContext(ctx, "artifacts of the attempt not deleted", "error", err)
	}
}

// neededKeys are the keys of artifacts, and with a "/" at their end the prefixes
// of the files of folders.
type neededKeys map[string]bool

func (n neededKeys) add(ref events.Reference) {
	n[ref.Key] = true
	if manifest.Is(ref) {
		n[manifest.Prefix(ref)] = true
	}
}

func (n neededKeys) has(key string) bool { return n[key] || n[path.Dir(key)+"/"] }

// deleteBelow deletes the artifacts whose keys begin with prefix, except the
// needed ones.
func (c *cleaner) deleteBelow(ctx context.Context, prefix string, needed neededKeys) error {
	for o, err := range c.store.List(ctx, prefix) {
		failpoint.Here(failpoint.JobDropped)
		if err == nil && !needed.has(o.Key) {
			err = c.store.Delete(ctx, o.Key)
		}
		progress.Advance(ctx, 1)
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
	}
	return nil
}
