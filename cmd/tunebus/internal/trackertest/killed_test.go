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
	"github.com/tunebus/tunebus/services/tracker/report"
)

var errKilled = errors.New("the tracker is dead")

// death lets a number of writes through. The one behind them, and every later
// one, does not happen.
type death struct {
	mu   sync.Mutex
	left int
	come chan struct{} // closed when the last write has happened
}

func newDeath(writes int) *death {
	d := &death{left: writes, come: make(chan struct{})}
	if writes == 0 {
		close(d.come)
	}
	return d
}

// write does a write, unless the tracker is dead.
func (d *death) write(do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		return errKilled
	}
	err := do()
	if d.left--; d.left == 0 {
		close(d.come)
	}
	return err
}

// mortal is a target whose writer dies.
type mortal struct {
	mlflow.Target
	death *death
}

func (m mortal) Experiment(ctx context.Context, name string) (id string, err error) {
	err = m.death.write(func() error { id, err = m.Target.Experiment(ctx, name); return err })
	return id, err
}

func (m mortal) EnsureRun(ctx context.Context, exp string, key mlflow.RunKey, r mlflow.Run) (id string, err error) {
	err = m.death.write(func() error { id, err = m.Target.EnsureRun(ctx, exp, key, r); return err })
	return id, err
}

func (m mortal) LogParams(ctx context.Context, run string, params []mlflow.Param) error {
	return m.death.write(func() error { return m.Target.LogParams(ctx, run, params) })
}

func (m mortal) LogMetrics(ctx context.Context, run string, points []mlflow.Metric) error {
	return m.death.write(func() error { return m.Target.LogMetrics(ctx, run, points) })
}

func (m mortal) SetTags(ctx context.Context, run string, tags []mlflow.Tag) error {
	return m.death.write(func() error { return m.Target.SetTags(ctx, run, tags) })
}

func (m mortal) LogInputs(ctx context.Context, run string, sets []mlflow.Dataset) error {
	return m.death.write(func() error { return m.Target.LogInputs(ctx, run, sets) })
}

func (m mortal) PutArtifact(ctx context.Context, run string, a mlflow.Artifact) error {
	return m.death.write(func() error { return m.Target.PutArtifact(ctx, run, a) })
}

func (m mortal) EndRun(ctx context.Context, run string, status mlflow.Status, end time.Time) error {
	return m.death.write(func() error { return m.Target.EndRun(ctx, run, status, end) })
}

// kill makes a tracker's configuration that of one that dies.
func (d *death) kill(cfg tracker.Config) tracker.Config {
	cfg.Open = func(uri string, opt mlflow.Options) (mlflow.Target, error) {
		target, err := mlflow.Open(uri, opt)
		return mortal{target, d}, err
	}
	// Each file is a write: those behind the death are as if never written.
	cfg.Write = func(ctx context.Context, dir string, r report.Report) ([]report.File, error) {
		files, err := report.Write(ctx, dir, r)
		for _, f := range files {
			if werr := d.write(func() error { return nil }); werr != nil {
				err = errors.Join(err, werr, os.Remove(f.Path))
			}
		}
		return files, err
	}
	return cfg
}

// killed lets a tracker die behind each of its writes in turn, and another
// one go on, and compares what that comes to with what one tracker makes.
func killed(t *testing.T, r record, run string) {
	room := newRoom(t, r)
	room.feed(t, r.runs[run]...)
	stop := room.run(t, room.config(t), false)
	waitFor(t, "the undisturbed tracker", func() bool { return len(room.untracked(t)) == 0 })
	stop()
	want := room.walk(t)
	const least = 10 // writes of the shortest run: fewer would mean that nobody died
	for n, alive := 0, false; !alive; n++ {
		t.Run(fmt.Sprint("behind write ", n), func(t *testing.T) {
			alive = killedOnce(t, r, run, n, want) || t.Failed()
			if alive && n < least {
				t.Errorf("only %d writes", n)
			}
		})
	}
}

// killedOnce lets a tracker die behind a number of writes, and reports whether
// it had no more to do than that.
func killedOnce(t *testing.T, r record, run string, n int, want map[string]string) (alive bool) {
	room := newRoom(t, r)
	room.feed(t, r.runs[run]...)
	d := newDeath(n)
	stop := room.run(t, d.kill(room.config(t)), false)
	dead := func() bool {
		select {
		case <-d.come:
			return true
		default:
			return false
		}
	}
	waitFor(t, "the death", func() bool { return dead() || len(room.untracked(t)) == 0 })
	stop()
	if len(room.untracked(t)) > 0 {
		room.drop(t, report.RunsName, report.RunsTextName) // which a killed one would not have written at its end
	}
	stop = room.run(t, room.config(t), false)
	waitFor(t, "the next tracker", func() bool { return len(room.untracked(t)) == 0 })
	stop()
	same(t, "in the end", room.walk(t), want)
	return !dead()
}
