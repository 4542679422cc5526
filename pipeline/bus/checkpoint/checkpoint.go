package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Checkpoint refers to the state that a later attempt can resume from.
type Checkpoint struct {
	// Attempt is the newest attempt that saved or claimed the checkpoint.
	Attempt int `json:"attempt"`
	// Step is the last step that the checkpoint holds.
	Step      int64            `json:"step"`
	Reference events.Reference `json:"reference"`
	// Before are older checkpoints that still exist, the newest first.
	Before []Checkpoint `json:"before,omitempty"`
}

// History is the checkpoint and those before it, the newest first.
func (c Checkpoint) History() []Checkpoint {
	if c.Step == 0 {
		return nil
	}
	all := append([]Checkpoint{c}, c.Before...)
	all[0].Before = nil
	return all
}

// ErrNone means that no checkpoint of the job is registered.
var ErrNone = errors.New("no checkpoint is registered")

// SupersededError means that a newer attempt has saved or claimed a checkpoint
// of the job, or that the phase has ended.
type SupersededError struct {
	// Key is <run>.<phase>.
	Key string
	// By is the newer attempt, or the end of the phase.
	By string
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("checkpoint %s: superseded by %s", e.Key, e.By)
}

// Registry keeps the newest checkpoints of each job. It is safe for concurrent
// use.
type Registry struct {
	conn   *conn.Conn
	stored streams.Reader
}

// New returns a registry on a connection.
func New(c *conn.Conn) *Registry { return &Registry{conn: c, stored: streams.New(c)} }

func keyOf(run string, p events.Phase) string { return run + "." + string(p) }

// Save registers the newest checkpoint of a job, and keeps the ones before it,
// keep in all. It returns the new entry, and the checkpoints that it dropped,
// whose content can be deleted. The error is a [*SupersededError] if a newer
// attempt has saved or claimed a checkpoint, or the phase has ended.
func (r *Registry) Save(ctx context.Context, run string, p events.Phase, cp Checkpoint, keep int) (saved Checkpoint, dropped []Checkpoint, err error) {
	saved, err = r.change(ctx, keyOf(run, p), cp.Attempt, func(before Checkpoint) (Checkpoint, error) {
		cp.Before, dropped = nil, nil
		for _, old := range before.History() {
			// A checkpoint of a later step is of no use to an attempt that
			// has just saved an earlier one again.
			if len(cp.Before)+1 < keep && old.Step < cp.Step {
				cp.Before = append(cp.Before, old)
			} else if old.Reference.Key != cp.Reference.Key {
				dropped = append(dropped, old)
			}
		}
		return cp, nil
	})
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return saved, dropped, nil
}

// Claim returns the newest checkpoint of a job and makes it the attempt's own:
// from now on no earlier attempt can replace it. The errors are those of
// [Registry.Save], and [ErrNone].
func (r *Registry) Claim(ctx context.Context, run string, p events.Phase, attempt int) (Checkpoint, error) {
	return r.change(ctx, keyOf(run, p), attempt, func(before Checkpoint) (Checkpoint, error) {
		if before.Step == 0 {
			return before, ErrNone
		}
		before.Attempt = attempt
		return before, nil
	})
}

// Load reads the newest checkpoint of a job. The error is [ErrNone] if there is
// none.
func (r *Registry) Load(ctx context.Context, run string, p events.Phase) (Checkpoint, error) {
	key := keyOf(run, p)
	bucket, err := r.conn.Bucket(ctx, topology.BucketCheckpoints)
	if err != nil {
		return Checkpoint{}, err
	}
	cp, _, err := read(ctx, bucket, key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
	}
	return cp, nil
}

// markerTTL is how long the entry of an ended phase refuses to be saved again
// by a worker that does not know about the end yet.
const markerTTL = time.Hour

// Delete removes the checkpoints of a job from the registry, if there are any.
// It asks again if it gets no answer: the message whose phase has ended is
// acknowledged after it, and nobody comes back for an entry that stays.
func (r *Registry) Delete(ctx context.Context, run string, p events.Phase) error {
	const tries = 3
	for try := 1; ; try++ {
		err := r.delete(ctx, run, p)
		if err == nil || try == tries || ctx.Err() != nil || !conn.IsUnanswered(err) {
			return err
		}
	}
}

func (r *Registry) delete(ctx context.Context, run string, p events.Phase) error {
	if _, err := r.Load(ctx, run, p); err != nil {
		if errors.Is(err, ErrNone) {
			return nil
		}
		return err
	}
	bucket, err := r.conn.Bucket(ctx, topology.BucketCheckpoints)
	if err != nil {
		return err
	}
	if err := bucket.Purge(ctx, keyOf(run, p), markerTTL); err != nil {
		return fmt.Errorf("checkpoint %s: %w", keyOf(run, p), err)
	}
	return nil
}

// change replaces an entry by what edit makes of it, unless a newer attempt
// wrote the entry.
func (r *Registry) change(ctx context.Context, key string, attempt int, edit func(Checkpoint) (Checkpoint, error)) (Checkpoint, error) {
	bucket, err := r.conn.Bucket(ctx, topology.BucketCheckpoints)
	if err != nil {
		return Checkpoint{}, err
	}
	removed := false
	const races = 16 // another writer wins each lost one
	for range races {
		before, revision, err := read(ctx, bucket, key)
		missing := errors.Is(err, ErrNone)
		switch {
		case err != nil && !missing:
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		case missing && removed:
			return Checkpoint{}, &SupersededError{Key: key, By: "the end of the phase"}
		case before.Attempt > attempt:
			return Checkpoint{}, &SupersededError{Key: key, By: fmt.Sprintf("attempt %d", before.Attempt)}
		}
		after, err := edit(before)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		body, err := json.Marshal(after)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		// Revision 0 is a key that was never there; the marker that Delete
		// leaves refuses it.
		if _, err = bucket.Update(ctx, key, body, revision); err == nil {
			return after, nil
		}
		if !errors.Is(err, conn.ErrRevision) {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		removed = missing
	}
	return Checkpoint{}, fmt.Errorf("checkpoint %s: lost %d races", key, races)
}

func read(ctx context.Context, bucket *conn.Bucket, key string) (cp Checkpoint, revision uint64, err error) {
	value, revision, err := bucket.Get(ctx, key)
	if errors.Is(err, conn.ErrKeyNotFound) {
		return cp, 0, ErrNone
	}
	if err != nil {
		return cp, 0, err
	}
	err = json.Unmarshal(value, &cp)
	return cp, revision, err
}
