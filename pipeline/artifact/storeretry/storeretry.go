// Package storeretry asks an artifact store again that is full or away, so that
// an outage does not cost hours of work: meanwhile a job keeps its result and
// its heartbeat, and people can make room.
//
//	store := storeretry.Store{Files: files, Budget: time.Hour, Log: log}
//	ref, err := store.PutDir(ctx, key, dir)
//
// The retries are an announced wait of the job (package progress), with the
// budget as its limit. They end early with their context.
package storeretry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Files copies files and folders into an artifact store and out of it.
type Files interface {
	PutFile(ctx context.Context, key, mediaType, path string) (events.Reference, error)
	PutDir(ctx context.Context, key, dir string) (events.Reference, error)
	Open(ctx context.Context, ref events.Reference, path string) error
	OpenDir(ctx context.Context, ref events.Reference, dir string) error
	FetchDir(ctx context.Context, ref events.Reference, dir string) error
}

// Store is a store that is retried.
type Store struct {
	Files Files
	// Budget is how long a call is retried.
	Budget time.Duration
	Log    *slog.Logger
}

// LogTo returns the store with another log.
func (s Store) LogTo(log *slog.Logger) Store {
	s.Log = log
	return s
}

// PutFile implements [Files].
func (s Store) PutFile(ctx context.Context, key, mediaType, path string) (ref events.Reference, err error) {
	err = s.retry(ctx, progress.Upload, "store "+key, func(ctx context.Context) (err error) {
		ref, err = s.Files.PutFile(ctx, key, mediaType, path)
		return err
	})
	return ref, err
}

// PutDir implements [Files].
func (s Store) PutDir(ctx context.Context, key, dir string) (ref events.Reference, err error) {
	err = s.retry(ctx, progress.Upload, "store "+key, func(ctx context.Context) (err error) {
		ref, err = s.Files.PutDir(ctx, key, dir)
		return err
	})
	return ref, err
}

// Fetch opens an artifact as a file for reading.
func (s Store) Fetch(ctx context.Context, ref events.Reference, path string) error {
	return s.retry(ctx, progress.Fetch, "fetch "+ref.Key, func(ctx context.Context) error { return s.Files.Open(ctx, ref, path) })
}

// FetchDir opens an artifact as a folder for reading.
func (s Store) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	return s.retry(ctx, progress.Fetch, "fetch "+ref.Key, func(ctx context.Context) error { return s.Files.OpenDir(ctx, ref, dir) })
}

// FetchCheckpoint copies a folder, which an engine may go on writing to.
func (s Store) FetchCheckpoint(ctx context.Context, ref events.Reference, dir string) error {
	return s.retry(ctx, progress.Fetch, "fetch the checkpoint", func(ctx context.Context) error { return s.Files.FetchDir(ctx, ref, dir) })
}

// retry calls do in a stage until it returns another error than that of an
// unavailable store, with growing delays.
func (s Store) retry(ctx context.Context, in progress.Stage, what string, do func(ctx context.Context) error) error {
	const shortest, longest = 500 * time.Millisecond, 30 * time.Second
	until := time.Now().Add(s.Budget)
	var wait *progress.Activity // from the first failure on; each call is a stage inside
	defer func() { wait.End() }()
	for delay := shortest; ; delay = min(2*delay, longest) {
		inside, call := progress.Enter(ctx, in)
		err := do(inside)
		call.End()
		if _, ok := errors.AsType[*artifact.UnavailableError](err); !ok || time.Now().Add(delay).After(until) {
			return err
		}
		if wait == nil {
			wait = progress.Wait(ctx, "the artifact store to have room, or to be back", s.Budget)
		}
		s.Log.ErrorContext(ctx, "the artifact store is full or away; the job keeps its work and tries again",
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
