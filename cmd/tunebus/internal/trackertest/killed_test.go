package trackertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

var errKilled = errors.New("the tracker was killed")

// writeLimit simulates the kill of a tracker after a number of writes: every
// later write fails without an effect.
type writeLimit struct {
	mu      sync.Mutex
	left    int
	reached chan struct{} // closed after the last write
}

func newWriteLimit(writes int) *writeLimit {
	l := &writeLimit{left: writes, reached: make(chan struct{})}
	if writes == 0 {
		close(l.reached)
	}
	return l
}

// write calls do, unless the limit is reached.
func (l *writeLimit) write(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return errKilled
	}
	err := do()
	if l.left--; l.left == 0 {
		close(l.reached)
	}
	return err
}

// limitedTarget is an MLflow target with a limit of writes.
type limitedTarget struct {
	mlflow.Target
	limit *writeLimit
}

func (t limitedTarget) EnsureExperiment(ctx context.Context, name string) (id string, err error) {
	err = t.limit.write(func() error { id, err = t.Target.EnsureExperiment(ctx, name); return err })
	return id, err
}

func (t limitedTarget) EnsureRun(ctx context.Context, exp string, key mlflow.RunKey, r mlflow.Run) (id string, err error) {
	err = t.limit.write(func() error { id, err = t.Target.EnsureRun(ctx, exp, key, r); return err })
	return id, err
}

func (t limitedTarget) LogParams(ctx context.Context, run string, params []mlflow.Param) error {
	return t.limit.write(func() error { return t.Target.LogParams(ctx, run, params) })
}

func (t limitedTarget) LogMetrics(ctx context.Context, run string, points []mlflow.Metric) error {
	return t.limit.write(func() error { return t.Target.LogMetrics(ctx, run, points) })
}

func (t limitedTarget) SetTags(ctx context.Context, run string, tags []mlflow.Tag) error {
	return t.limit.write(func() error { return t.Target.SetTags(ctx, run, tags) })
}

func (t limitedTarget) LogInputs(ctx context.Context, run string, sets []mlflow.Dataset) error {
	return t.limit.write(func() error { return t.Target.LogInputs(ctx, run, sets) })
}

func (t limitedTarget) PutArtifact(ctx context.Context, run string, a mlflow.Artifact) error {
	return t.limit.write(func() error { return t.Target.PutArtifact(ctx, run, a) })
}

func (t limitedTarget) EndRun(ctx context.Context, run string, status mlflow.Status, end time.Time) error {
	return t.limit.write(func() error { return t.Target.EndRun(ctx, run, status, end) })
}

// apply returns the configuration of a tracker with this limit.
func (l *writeLimit) apply(cfg tracker.Config) tracker.Config {
	cfg.Open = func(uri string, opt restapi.Options) (mlflow.Target, error) {
		target, err := mlflowsync.Open(uri, opt)
		return limitedTarget{target, l}, err
	}
	// Each file is a write. Files beyond the limit are removed again.
	cfg.Write = func(ctx context.Context, dir string, r report.Report) ([]report.File, error) {
		files, err := report.Write(ctx, dir, r)
		for _, f := range files {
			if werr := l.write(func() error { return nil }); werr != nil {
				err = errors.Join(err, werr, os.Remove(f.Path))
			}
		}
		return files, err
	}
	return cfg
}

// testKilled kills a tracker after each of its writes in turn, lets another one
// finish, and compares the result with that of one tracker.
func testKilled(t *testing.T, r recording, run string) {
	env := newEnv(t, r)
	env.publish(t, r.runs[run]...)
	stop := env.startTracker(t, env.config(t), false)
	waitFor(t, "the undisturbed tracker", func() bool { return len(env.untracked(t)) == 0 })
	stop()
	want := env.files(t)
	const minWrites = 10 // of the shortest run; with fewer writes the test would kill no tracker
	for n, finished := 0, false; !finished; n++ {
		t.Run(fmt.Sprint("after write ", n), func(t *testing.T) {
			finished = killAfter(t, r, run, n, want) || t.Failed()
			if finished && n < minWrites {
				t.Errorf("only %d writes", n)
			}
		})
	}
}

// killAfter kills a tracker after n writes, and lets another tracker finish. It
// reports whether the first tracker had finished before the kill.
func killAfter(t *testing.T, r recording, run string, n int, want map[string]string) (finished bool) {
	env := newEnv(t, r)
	env.publish(t, r.runs[run]...)
	limit := newWriteLimit(n)
	stop := env.startTracker(t, limit.apply(env.config(t)), false)
	killed := func() bool {
		select {
		case <-limit.reached:
			return true
		default:
			return false
		}
	}
	waitFor(t, "the limit of writes", func() bool { return killed() || len(env.untracked(t)) == 0 })
	stop()
	if len(env.untracked(t)) > 0 {
		env.removeReports(t, runlist.FileName, runlist.TextFileName) // a killed tracker does not write the list, but stop lets it do so
	}
	stop = env.startTracker(t, env.config(t), false)
	waitFor(t, "the next tracker", func() bool { return len(env.untracked(t)) == 0 })
	stop()
	expectSame(t, "in the end", env.files(t), want)
	return !killed()
}
