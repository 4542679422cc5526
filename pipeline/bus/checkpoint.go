package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Checkpoint points at what a later attempt can go on from.
type Checkpoint struct {
	// Attempt is the newest attempt that saved or took the checkpoint.
	Attempt int `json:"attempt"`
	// Step is the last step that the checkpoint holds.
	Step      int64            `json:"step"`
	Reference events.Reference `json:"reference"`
	// Before are older ones that are still there, the newest first.
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

func checkpointKey(run string, p events.Phase) string { return run + "." + string(p) }

// SaveCheckpoint stores the newest checkpoint of a job and keeps those before
// it, keep in all. It returns what is stored now, and those that are not any
// more, for their content to be dropped.
// The error is a [*LostError] when a newer attempt has saved or taken one,
// whose work must not be replaced by an older one's, or the phase is over.
func (b *Bus) SaveCheckpoint(ctx context.Context, run string, p events.Phase, cp Checkpoint, keep int) (saved Checkpoint, dropped []Checkpoint, err error) {
	saved, err = b.changeCheckpoint(ctx, run, p, cp.Attempt, func(before Checkpoint) (Checkpoint, error) {
		cp.Before, dropped = nil, nil
		for _, old := range before.History() {
			// Later steps than those just saved were of no use to whoever
			// saved them again.
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

// TakeCheckpoint returns the newest checkpoint of a job, and makes it an
// attempt's own: from here on no earlier attempt can replace it, should it
// still be at work. The errors are those of [Bus.SaveCheckpoint], and
// [ErrNothing] when there is none.
func (b *Bus) TakeCheckpoint(ctx context.Context, run string, p events.Phase, attempt int) (Checkpoint, error) {
	return b.changeCheckpoint(ctx, run, p, attempt, func(before Checkpoint) (Checkpoint, error) {
		if before.Step == 0 {
			return before, ErrNothing
		}
		before.Attempt = attempt
		return before, nil
	})
}

// changeCheckpoint replaces what is stored by what edit makes of it, unless a
// newer attempt was there.
func (b *Bus) changeCheckpoint(ctx context.Context, run string, p events.Phase, attempt int, edit func(Checkpoint) (Checkpoint, error)) (Checkpoint, error) {
	key := checkpointKey(run, p)
	kv, err := b.bucket(ctx, BucketCheckpoints)
	if err != nil {
		return Checkpoint{}, err
	}
	gone := false
	const races = 16 // each lost one means that somebody else stored something
	for range races {
		before, revision, err := readCheckpoint(ctx, kv, key)
		missing := errors.Is(err, ErrNothing)
		switch {
		case err != nil && !missing:
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		case missing && gone:
			return Checkpoint{}, &LostError{Subject: key, Winner: "the end of the phase"}
		case before.Attempt > attempt:
			return Checkpoint{}, &LostError{Subject: key, Winner: fmt.Sprintf("attempt %d", before.Attempt)}
		}
		after, err := edit(before)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		body, err := json.Marshal(after)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		// Revision 0 is a key that was never there; what DeleteCheckpoint
		// leaves behind refuses it.
		if _, err = kv.Update(ctx, key, body, revision); err == nil {
			return after, nil
		}
		if code(err) != codeWrongLastSequence {
			return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", key, err)
		}
		gone = missing
	}
	return Checkpoint{}, fmt.Errorf("checkpoint %s: lost %d races", key, races)
}

// LoadCheckpoint reads the newest checkpoint of a job. The error is
// [ErrNothing] when there is none.
func (b *Bus) LoadCheckpoint(ctx context.Context, run string, p events.Phase) (Checkpoint, error) {
	kv, err := b.bucket(ctx, BucketCheckpoints)
	if err != nil {
		return Checkpoint{}, err
	}
	cp, _, err := readCheckpoint(ctx, kv, checkpointKey(run, p))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint %s: %w", checkpointKey(run, p), err)
	}
	return cp, nil
}

func readCheckpoint(ctx context.Context, kv jetstream.KeyValue, key string) (Checkpoint, uint64, error) {
	var cp Checkpoint
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return cp, 0, ErrNothing
	}
	if err != nil {
		return cp, 0, err
	}
	return cp, entry.Revision(), json.Unmarshal(entry.Value(), &cp)
}

// staleFor is how long a deleted checkpoint refuses to be saved again by a
// worker that has not heard yet that the phase is over.
const staleFor = time.Hour

// DeleteCheckpoint forgets the checkpoints of a job, if there are any.
func (b *Bus) DeleteCheckpoint(ctx context.Context, run string, p events.Phase) error {
	if _, err := b.LoadCheckpoint(ctx, run, p); err != nil {
		if errors.Is(err, ErrNothing) {
			return nil
		}
		return err
	}
	kv, err := b.bucket(ctx, BucketCheckpoints)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, checkpointKey(run, p), jetstream.PurgeTTL(staleFor)); err != nil {
		return fmt.Errorf("checkpoint %s: %w", checkpointKey(run, p), err)
	}
	return nil
}

// bucket binds to a bucket once; binding asks the server.
func (b *Bus) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv := b.buckets[name]
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	kv, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buckets[name] = kv
	return kv, nil
}
