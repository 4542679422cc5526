package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// retryingStore retries an artifact store that is full or unreachable for a
// budget, so that an outage does not cost hours of work: meanwhile the job keeps
// its result and its heartbeat, and people can make room. A retry ends early
// with its context.
type retryingStore struct {
	store  engine.Store
	budget time.Duration
	log    *slog.Logger
}

// logTo returns the store with another log.
func (s retryingStore) logTo(log *slog.Logger) retryingStore {
	s.log = log
	return s
}

// PutFile implements [engine.Store].
func (s retryingStore) PutFile(ctx context.Context, key, mediaType, path string) (ref events.Reference, err error) {
	err = s.retry(ctx, "store "+key, func() (err error) {
		ref, err = s.store.PutFile(ctx, key, mediaType, path)
		return err
	})
	return ref, err
}

// PutDir implements [engine.Store].
func (s retryingStore) PutDir(ctx context.Context, key, dir string) (ref events.Reference, err error) {
	err = s.retry(ctx, "store "+key, func() (err error) {
		ref, err = s.store.PutDir(ctx, key, dir)
		return err
	})
	return ref, err
}

// Fetch implements [engine.Store].
func (s retryingStore) Fetch(ctx context.Context, ref events.Reference, path string) error {
	return s.retry(ctx, "fetch "+ref.Key, func() error { return s.store.Fetch(ctx, ref, path) })
}

// FetchDir implements [engine.Store].
func (s retryingStore) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	return s.retry(ctx, "fetch "+ref.Key, func() error { return s.store.FetchDir(ctx, ref, dir) })
}

// fetchCheckpoint is FetchDir with another word in the log.
func (s retryingStore) fetchCheckpoint(ctx context.Context, ref events.Reference, dir string) error {
	return s.retry(ctx, "fetch the checkpoint", func() error { return s.store.FetchDir(ctx, ref, dir) })
}

// retry calls do until it returns another error than that of an unavailable
// store, with growing delays.
func (s retryingStore) retry(ctx context.Context, what string, do func() error) error {
	const shortest, longest = 500 * time.Millisecond, 30 * time.Second
	until := time.Now().Add(s.budget)
	for delay := shortest; ; delay = min(2*delay, longest) {
		err := do()
		if _, ok := errors.AsType[*artifact.UnavailableError](err); !ok || time.Now().Add(delay).After(until) {
			return err
		}
		s.log.ErrorContext(ctx, "the artifact store is full or away; the job keeps its work and tries again",
			"what", what, "delay", delay, "until", until.UTC().Format(time.RFC3339), "error", err)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
