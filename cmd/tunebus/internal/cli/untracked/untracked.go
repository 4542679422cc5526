// Package untracked finishes runs of a data folder that ended without their reports and their
// tracking, because the process that worked on them died in between. The next process
// that has the folder does it, and does not end before.
//
//	runs, err := untracked.List(ctx, b)
//	…
//	left, err := untracked.Wait(ctx, console, b, runs, limit) // while a tracker runs
package untracked

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// List lists the runs that have ended and are not tracked. It leaves out those with facts
// that cannot be read, which wait for another version of the tracker.
func List(ctx context.Context, b *conn.Conn) ([]string, error) {
	lister := runlister.New(b)
	runs, err := lister.Untracked(ctx)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	open, err := lister.Open(ctx)
	if err != nil {
		return nil, err
	}
	isOpen := make(map[string]bool, len(open))
	for _, run := range open {
		isOpen[run] = true
	}
	facts := history.New(b)
	var ended []string
	for _, id := range runs {
		if isOpen[id] {
			continue
		}
		run, err := facts.Run(ctx, id)
		if err != nil && !codec.IsUndecodable(err) {
			return nil, err
		}
		if err == nil && run.Completed != nil && run.Deleted == nil {
			ended = append(ended, id)
		}
	}
	return ended, nil
}

// Wait waits until the tracker of this process is done with the runs, for a limit, and says
// so. It returns those that are left.
func Wait(ctx context.Context, console *view.Console, b *conn.Conn, runs []string, limit time.Duration) (left []string, err error) {
	if len(runs) == 0 {
		return nil, nil
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var done []string
	for _, id := range runs {
		err := runwatch.On(b).Tracked(waiting, id)
		switch {
		case err == nil:
			done = append(done, id)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		default:
			left = append(left, id)
		}
	}
	say(console, done)
	return left, nil
}

// Write does the work of a tracker for the runs of a data folder on which none runs. Of a
// folder whose places nobody knows, such as that of an earlier version, it writes nothing. The
// error matches [mlflow.ErrUnavailable] if MLflow cannot be reached.
func Write(ctx context.Context, s *session.Session, server *session.Deployment, store *artifact.Store) error {
	runs, err := List(ctx, server.Bus)
	if err != nil || len(runs) == 0 {
		return err
	}
	cfg := server.Settings
	cfg.Data.Folder = server.Folder()
	if known, err := places.Known(cfg); err != nil || !known {
		return err
	}
	if err := new(inprocess.Flags).Apply(&cfg); err != nil {
		return err
	}
	track, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err != nil {
		return err
	}
	if track.DataFolder, err = filepath.Abs(cfg.Data.Folder); err != nil {
		return err
	}
	track.Logger = s.Logger()
	var done []string
	var failed error
	err = tracker.New(server.Bus, store, track).Replay(ctx, tracker.Replay{Runs: runs, OnRun: func(one tracker.Rebuilt, _ int) {
		if one.Recorded {
			done = append(done, one.Run)
		}
		failed = errors.Join(failed, one.Err)
	}})
	slices.Sort(done)
	say(s.Console, done)
	if errors.Is(err, mlflow.ErrUnavailable) {
		return fmt.Errorf("MLflow cannot be reached: %w", err)
	}
	return errors.Join(err, failed)
}

// say says which runs are finished now.
func say(console *view.Console, runs []string) {
	switch len(runs) {
	case 0:
	case 1:
		console.Say("run %s had ended before its reports and its tracking were written; they are complete now", runs[0])
	default:
		console.Say("the runs %s had ended before their reports and their tracking were written; they are complete now", some(runs))
	}
}

// some names the first runs of many.
func some(runs []string) string {
	const most = 5
	text := strings.Join(runs[:min(most, len(runs))], ", ")
	if more := len(runs) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
