package checkpointing

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// maxKept is how many checkpoints of a job are kept where the engine names no
// lower number.
const maxKept = 64

var errDisconnected = errors.New("NATS is unreachable; the checkpoint is stored, and is registered when NATS is back")

// Files stores a folder as an artifact.
type Files interface {
	PutDir(ctx context.Context, key, dir string) (events.Reference, error)
}

// Store deletes artifacts.
type Store interface {
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
	Delete(ctx context.Context, key string) error
}

// SaverConfig is what a saver works with.
type SaverConfig struct {
	Registry Registry
	Files    Files
	Store    Store
	// Connected reports whether NATS is reachable. A save does not wait for it.
	Connected func() bool
}

// Saver saves the checkpoints of one attempt. It is safe for concurrent use.
type Saver struct {
	job Job
	cfg SaverConfig
	// becamePending gets a value when a registration failed.
	becamePending chan struct{}

	// turn holds a value during a registration: there is one at a time, so that
	// a newer checkpoint is never replaced by an older one. Who waits for it
	// waits with a context, and [Saver.RetryPending] does not wait at all: the
	// watch of the ownership must not stand still with a request of the engine.
	turn chan struct{}

	// mu guards what follows. Nothing is asked of the network while it is held.
	mu sync.Mutex
	// pending is the newest checkpoint that is in the artifact store but not
	// yet in the registry; its Step is 0 where there is none. Without a retry,
	// a worker that is killed soon after an outage of NATS would cost the work
	// since the last checkpoint before the outage.
	pending checkpoint.Checkpoint
	keep    int
	// maybeRegistered is true if a registration was sent and its reply was
	// lost.
	maybeRegistered bool
	// superseded holds older checkpoints that may be registered. They are
	// deleted once a newer one is confirmed.
	superseded []checkpoint.Checkpoint
	registered int64 // the step of the newest checkpoint that is
	stored     bool  // a checkpoint is, or was, in the artifact store
	closed     bool
}

// NewSaver returns the saver of an attempt.
func NewSaver(job Job, cfg SaverConfig) *Saver {
	return &Saver{job: job, cfg: cfg, becamePending: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// Save stores a folder as the checkpoint of a step and registers it. Of the
// job's checkpoints keep stay; a keep below 1 means as many as possible. If the
// checkpoint cannot be stored or registered, Save logs that and returns nil:
// the work goes on. It returns an error if ctx has ended, and if a newer
// attempt has taken the job over, see [IsSuperseded].
func (s *Saver) Save(ctx context.Context, step int64, dir string, keep int) error {
	err := s.storeAndRegister(ctx, step, dir, keep)
	if err == nil || IsSuperseded(err) || ctx.Err() != nil {
		return err
	}
	s.job.Logger.WarnContext(ctx, "checkpoint not saved; the work goes on", "step", step, "error", err)
	return nil
}

func (s *Saver) storeAndRegister(ctx context.Context, step int64, dir string, keep int) error {
	failpoint.Here(failpoint.CheckpointWritten)
	name := "checkpoint-" + strconv.FormatInt(step, 10)
	key, err := artifact.Key(s.job.RunID, s.job.Phase, s.job.Attempt, name)
	if err != nil {
		return err
	}
	ref, err := s.cfg.Files.PutDir(ctx, key, dir)
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	failpoint.Here(failpoint.CheckpointStored)
	if keep < 1 || keep > maxKept {
		keep = maxKept
	}
	return s.register(ctx, checkpoint.Checkpoint{Attempt: s.job.Attempt, Step: step, Reference: ref}, keep)
}

// register registers a checkpoint that is stored. If registration fails, the
// checkpoint stays pending and is retried.
func (s *Saver) register(ctx context.Context, cp checkpoint.Checkpoint, keep int) error {
	s.mu.Lock()
	s.stored = true
	s.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("checkpoint at step %d: %w", cp.Step, context.Cause(ctx))
	}
	obsolete := s.replacePending(cp, keep)
	err := errDisconnected
	if s.cfg.Connected() { // else the work would wait
		var dropped []checkpoint.Checkpoint
		dropped, err = s.registerPending(ctx)
		obsolete = append(obsolete, dropped...)
	}
	<-s.turn
	s.delete(ctx, obsolete)
	if err != nil {
		select {
		case s.becamePending <- struct{}{}:
		default: // the earlier signal was not received yet
		}
	}
	return err
}

// replacePending makes cp the pending checkpoint. It returns the one before, to
// be deleted, unless that may be registered: then a later attempt may resume
// from it.
func (s *Saver) replacePending(cp checkpoint.Checkpoint, keep int) (obsolete []checkpoint.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, registered := s.pending, s.maybeRegistered
	s.pending, s.keep, s.maybeRegistered = cp, keep, false
	switch {
	case before.Step == 0:
	case registered:
		s.superseded = append(s.superseded, before)
	default:
		obsolete = append(obsolete, before)
	}
	return obsolete
}

// registerPending registers the pending checkpoint. It returns the checkpoints
// that are too many then, to be deleted only afterwards, so that one is
// registered at any time. Its caller has the turn, so nothing else changes what
// is pending.
func (s *Saver) registerPending(ctx context.Context) (dropped []checkpoint.Checkpoint, err error) {
	s.mu.Lock()
	pending, keep := s.pending, s.keep
	s.mu.Unlock()
	saved, dropped, err := s.cfg.Registry.Save(ctx, s.job.RunID, s.job.Phase, pending, keep)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.maybeRegistered = true
		return nil, fmt.Errorf("checkpoint at step %d: %w", pending.Step, err)
	}
	failpoint.Here(failpoint.CheckpointRegistered)
	for _, old := range s.superseded {
		if !contains(saved.History(), old) {
			dropped = append(dropped, old)
		}
	}
	s.pending, s.maybeRegistered, s.superseded, s.registered = checkpoint.Checkpoint{}, false, nil, pending.Step
	return dropped, nil
}

func contains(all []checkpoint.Checkpoint, cp checkpoint.Checkpoint) bool {
	return slices.ContainsFunc(all, func(c checkpoint.Checkpoint) bool { return c.Reference.Key == cp.Reference.Key })
}

func (s *Saver) delete(ctx context.Context, obsolete []checkpoint.Checkpoint) {
	for _, old := range obsolete {
		if err := s.deleteOne(ctx, old.Reference); err != nil {
			s.job.Logger.WarnContext(ctx, "superseded checkpoint not deleted", "step", old.Step, "error", err)
		}
	}
}

// deleteOne deletes a checkpoint: its manifest first, so that nobody finds a
// folder without its files.
func (s *Saver) deleteOne(ctx context.Context, ref events.Reference) error {
	if err := s.cfg.Store.Delete(ctx, ref.Key); err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return err
	}
	if !manifest.Is(ref) {
		return nil
	}
	for o, err := range s.cfg.Store.List(ctx, manifest.Prefix(ref)) {
		if err == nil {
			err = s.cfg.Store.Delete(ctx, o.Key)
		}
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
	}
	return nil
}

// BecamePending gets a value when a checkpoint is stored and could not be
// registered. [Saver.RetryPending] should then be called until it succeeds.
func (s *Saver) BecamePending() <-chan struct{} { return s.becamePending }

// RetryPending registers the pending checkpoint, if there is one and NATS is
// reachable. It reports whether it failed and should be called again soon. It
// does nothing during another registration, which signals if it fails.
func (s *Saver) RetryPending(ctx context.Context) (retry bool) {
	select {
	case s.turn <- struct{}{}:
	default:
		return false
	}
	step, due := s.due()
	if !due || !s.cfg.Connected() {
		<-s.turn
		return false
	}
	dropped, err := s.registerPending(ctx)
	<-s.turn
	if err != nil {
		s.job.Logger.WarnContext(ctx, "pending checkpoint not registered", "step", step, "error", err)
		return true
	}
	s.delete(ctx, dropped)
	s.job.Logger.InfoContext(ctx, "pending checkpoint registered", "step", step)
	return false
}

// due is the step of the pending checkpoint, if it is to be registered again.
func (s *Saver) due() (step int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.Step, s.pending.Step > 0 && !s.closed
}

// Begin notes the step of the checkpoint that the attempt begins with; 0: it begins at the
// beginning.
func (s *Saver) Begin(step int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registered = step
}

// Newest is the step of the newest checkpoint that is registered; 0 without one.
func (s *Saver) Newest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registered
}

// IsRegistered reports whether a later attempt would go on from the checkpoint of a
// step, or from a newer one.
func (s *Saver) IsRegistered(step int64) bool {
	return s.Newest() >= step
}

// Stored reports whether the attempt stored a checkpoint.
func (s *Saver) Stored() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}

// Close ends the retries, because the attempt has ended. It waits for a
// registration that is under way: what comes next may remove the entry of the
// job. The requests of a registration have limits of their own.
func (s *Saver) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.turn <- struct{}{}
	<-s.turn
}
