// Package cleanup deletes what a job leaves behind: the checkpoints of a phase that
// is completed, and the artifacts that no fact refers to.
//
// Everything may be repeated. What cannot be deleted is logged and left to garbage
// collection.
package cleanup

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

// Store is the artifact store as a cleaner needs it.
type Store interface {
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
	Delete(ctx context.Context, key string) error
}

// Cleaner deletes artifacts and checkpoints that nothing needs any more.
type Cleaner struct {
	Registry checkpointing.Registry
	Store    Store
	// Patience is how long the registry is asked again while it does not answer.
	Patience time.Duration
	Logger   *slog.Logger
}

// Phase deletes the checkpoints of a completed phase, and the artifacts of
// its attempts that the completed fact does not refer to, such as those of an
// attempt that was killed.
func (c *Cleaner) Phase(ctx context.Context, fact events.PhaseCompleted) {
	log := c.Logger.With("run", fact.RunID, "phase", fact.Phase)
	if err := checkpointing.AskAgain(ctx, c.Patience, func() error { return c.Registry.Delete(ctx, fact.RunID, fact.Phase) }); err != nil {
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

// LostAttempt deletes everything that an attempt stored, except the
// checkpoints that a later attempt may resume from. If the registry cannot be
// read, everything stays until the phase is completed.
func (c *Cleaner) LostAttempt(ctx context.Context, run string, p events.Phase, number int) {
	var newest checkpoint.Checkpoint
	err := checkpointing.AskAgain(ctx, c.Patience, func() (err error) {
		newest, err = checkpointing.Latest(ctx, c.Registry, run, p)
		return err
	})
	needed := neededKeys{}
	for _, cp := range newest.History() {
		needed.add(cp.Reference)
	}
	var prefix string
	if err == nil {
		prefix, err = artifact.RunPrefix(run)
	}
	if err == nil {
		err = c.deleteBelow(ctx, prefix+string(p)+"/"+strconv.Itoa(number)+"/", needed)
	}
	if err != nil {
		c.Logger.WarnContext(ctx, "artifacts of the attempt not deleted", "run", run, "phase", p, "attempt", number, "error", err)
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
func (c *Cleaner) deleteBelow(ctx context.Context, prefix string, needed neededKeys) error {
	for o, err := range c.Store.List(ctx, prefix) {
		failpoint.Here(failpoint.JobDropped)
		if err == nil && !needed.has(o.Key) {
			err = c.Store.Delete(ctx, o.Key)
		}
		progress.Advance(ctx, 1)
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
	}
	if store, ok := c.Store.(*artifact.Store); ok {
		artifact.RemoveEmptyFolders(store, prefix)
	}
	return nil
}
