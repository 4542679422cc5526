package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Checkpoint points at what a later attempt can go on from.
type Checkpoint struct {
	Attempt int `json:"attempt"`
	// Step is the last step that the checkpoint holds.
	Step      int64            `json:"step"`
	Reference events.Reference `json:"reference"`
}

func checkpointKey(run string, p events.Phase) string { return run + "." + string(p) }

// SaveCheckpoint stores the newest checkpoint of a job. The error is a
// [*LostError] when a newer attempt has stored one; its work must not be
// replaced by an older one's.
func (b *Bus) SaveCheckpoint(ctx context.Context, run string, p events.Phase, cp Checkpoint) error {
	kv, err := b.bucket(ctx, BucketCheckpoints)
	if err != nil {
		return err
	}
	body, err := json.Marshal(cp)
	if err != nil {
		return err
	}
	key := checkpointKey(run, p)
	const races = 16 // each lost one means that somebody else stored something
	for range races {
		before, revision, err := readCheckpoint(ctx, kv, key)
		switch {
		case errors.Is(err, ErrNothing):
			_, err = kv.Create(ctx, key, body)
		case err != nil:
			return fmt.Errorf("checkpoint %s: %w", key, err)
		case before.Attempt > cp.Attempt:
			return &LostError{Subject: key, Winner: fmt.Sprintf("attempt %d", before.Attempt)}
		default:
			_, err = kv.Update(ctx, key, body, revision)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) && code(err) != codeWrongLastSequence {
			return fmt.Errorf("checkpoint %s: %w", key, err)
		}
	}
	return fmt.Errorf("checkpoint %s: lost %d races", key, races)
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

// DeleteCheckpoint forgets the checkpoint of a job.
func (b *Bus) DeleteCheckpoint(ctx context.Context, run string, p events.Phase) error {
	kv, err := b.bucket(ctx, BucketCheckpoints)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, checkpointKey(run, p)); err != nil {
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
