package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/trainer"
)

// bench is a worker with one job, and its store.
type bench struct {
	dir   string
	steps chan int64 // of the progress
	// change edits the specification; nil: nothing does.
	change func(*events.Specification)

	mu        sync.Mutex
	saved     engine.Resume // the newest checkpoint
	startOver []string
	notKept   bool
	log       []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), steps: make(chan int64, 1000)}
	rows := ""
	for i := range 10 {
		rows += fmt.Sprintf(`{"question":"What is %d?","answer":"It is %d."}`+"\n", i, i*i)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "rows.jsonl"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(b.dir, "base"), os.DirFS("../../../configs/quickstart/base-model")); err != nil {
		t.Fatal(err)
	}
	return b
}

// runtime is one attempt at the job.
type runtime struct {
	*bench
	scratch string
}

func (r runtime) ScratchPath(name string) (string, error) { return filepath.Join(r.scratch, name), nil }

func (r runtime) RecordProgress(_ context.Context, step, _ int64, _ []events.Point) error {
	r.steps <- step
	return nil
}

func (r runtime) SaveCheckpoint(_ context.Context, step int64, dir string, _ int) error {
	kept := filepath.Join(r.dir, fmt.Sprintf("kept-%d-%d", step, time.Now().UnixNano()))
	if err := errors.Join(os.CopyFS(kept+".part", os.DirFS(dir)), os.Rename(kept+".part", kept)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = engine.Resume{Step: step, Dir: kept}
	return nil
}

func (r runtime) StartOver(_ context.Context, why error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.startOver = append(r.startOver, why.Error())
	return nil
}

func (r runtime) Announce(context.Context, engine.Announcement) {}

func (r runtime) IsKept(step int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.notKept && r.saved.Step >= step
}

func (r runtime) writeLog(_, text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, text)
	return text
}

func (r runtime) put(key, path string) (events.Reference, error) {
	to := filepath.Join(r.dir, filepath.Base(key))
	info, err := os.Stat(path)
	if err != nil {
		return events.Reference{}, err
	}
	if err := os.RemoveAll(to); err != nil || !info.IsDir() {
		return events.Reference{Key: key}, err
	}
	return events.Reference{Key: key}, os.CopyFS(to, os.DirFS(path))
}

func (r runtime) PutFile(_ context.Context, key, _, path string) (events.Reference, error) {
	return r.put(key, path)
}

func (r runtime) PutDir(_ context.Context, key, dir string) (events.Reference, error) {
	return r.put(key, dir)
}

func (r runtime) Fetch(context.Context, events.Reference, string) error { return errors.ErrUnsupported }
func (r runtime) FetchDir(context.Context, events.Reference, string) error {
	return errors.ErrUnsupported
}

// run works on the job, from the newest checkpoint. It returns the chain of the result.
func (b *bench) run(ctx context.Context, t *testing.T, e *trainer.Engine, saveTime time.Duration) (engine.Result, string, error) {
	t.Helper()
	s := spec.Defaults()
	small(&s)
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.FineTuner.Epochs = filepath.Join(b.dir, "base"), filepath.Join(b.dir, "rows.jsonl"), 8
	if b.change != nil {
		b.change(&s)
	}
	scratch := t.TempDir()
	resume := b.saved
	if resume.Step > 0 { // a copy, as a worker gives one
		resume.Dir = filepath.Join(scratch, "resume")
		if err := os.CopyFS(resume.Dir, os.DirFS(b.saved.Dir)); err != nil {
			t.Fatal(err)
		}
	}
	r := runtime{b, scratch}
	job := engine.NewJob(engine.JobConfig{
		Request: events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "command", Specification: s},
		Attempt: 1, Resume: resume, Runtime: r, Store: r, WriteLog: r.writeLog, Sources: engine.Sources{Roots: []string{b.dir}}, SaveTime: saveTime,
	})
	res, err := e.Run(ctx, job)
	if err != nil {
		return res, "", err
	}
	chain, _ := os.ReadFile(filepath.Join(b.dir, events.ArtifactModel, "chain.txt")) // only the example has one
	return res, string(chain), nil
}

// until cancels a context when a step was said.
func (b *bench) until(ctx context.Context, step int64, why error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case at := <-b.steps:
				if at >= step {
					cancel(why)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// gone fails the test if a process of the job is left.
func (b *bench) gone(t *testing.T) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if environ, err := os.ReadFile(path); err == nil && strings.Contains(string(environ), "OF_TEST="+b.dir) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			t.Errorf("%s is left: %q", path, line)
		}
	}
}

// engine is a trainer whose processes the test finds.
func (b *bench) engine(command []string, environment ...string) *trainer.Engine {
	return newEngine(command, append(environment, "OF_TEST="+b.dir)...)
}

// TestShutdown: a trainer that is told to stop saves a checkpoint, and goes on behind it
// to the result of an undisturbed training.
func TestShutdown(t *testing.T) {
	t.Parallel()
	whole := newBench(t)
	_, want, err := whole.run(t.Context(), t, whole.engine(script(t, example)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	e := b.engine(script(t, example), "CHAIN_STEP_SECONDS=0.02")
	for _, step := range []int64{5, 17, 30} {
		ctx, done := b.until(t.Context(), step, engine.ErrShutdown)
		_, _, err := b.run(ctx, t, e, time.Minute)
		done()
		if !errors.Is(err, engine.ErrShutdown) {
			t.Fatalf("it ended with %v, want the shutdown", err)
		}
		if b.saved.Step < step {
			t.Errorf("its newest checkpoint is of step %d, want %d or a later one", b.saved.Step, step)
		}
		b.gone(t)
	}
	_, got, err := b.run(t.Context(), t, e, time.Minute)
	if err != nil || got != want {
		t.Errorf("its result is %q, %v; want %q", got, err, want)
	}
}

// TestLostJob: a trainer whose job is lost or cancelled is killed, with all that comes
// from it, and so is one that does not hear the order to stop.
func TestLostJob(t *testing.T) {
	t.Parallel()
	lost := errors.New("another worker has the job")
	for name, c := range map[string]struct {
		rude string
		why  error
	}{"lost": {"hangs", lost}, "deaf": {"deaf", engine.ErrShutdown}, "lost and deaf": {"deaf", lost}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, done := b.until(t.Context(), 1, c.why)
			defer done()
			_, _, err := b.run(ctx, t, b.engine(script(t, "testdata/rude.py"), "RUDE="+c.rude), 100*time.Millisecond)
			if !errors.Is(err, c.why) {
				t.Errorf("it ended with %v, want %v", err, c.why)
			}
			b.gone(t)
		})
	}
}

// TestForeignCheckpoint: a checkpoint of another engine or trainer, or one that the
// trainer refuses, is set aside.
func TestForeignCheckpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ marker, rude, want string }{
		"built in":      {"", "look", "the checkpoint is of an engine that is no trainer"},
		"engine":        {`{"engine":"trl","trainer":"rude"}`, "look", `the checkpoint is of the engine "trl"`},
		"trainer":       {`{"engine":"command","trainer":"chain"}`, "look", `the checkpoint is of the trainer "chain", and this is "rude"`},
		"refused":       {`{"engine":"command","trainer":"rude"}`, "forgets", "the trainer cannot use it: its format is of last year"},
		"not set aside": {`{"engine":"command","trainer":"rude"}`, "look", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			dir := filepath.Join(b.dir, "old")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if c.marker != "" {
				if err := os.WriteFile(filepath.Join(dir, "tunebus-trainer.json"), []byte(c.marker), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b.saved = engine.Resume{Step: 3, Dir: dir}
			_, _, err := b.run(t.Context(), t, b.engine(script(t, "testdata/rude.py"), "RUDE="+c.rude, "LOOK="+filepath.Join(b.dir, "seen")), time.Minute)
			if got := strings.Join(b.startOver, "; "); err != nil || got != c.want {
				t.Errorf("%v; it started over since %q, want %q", err, got, c.want)
			}
		})
	}
}

// TestNotKept: a trainer hears that a checkpoint is not kept, and goes on.
func TestNotKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.notKept = true
	_, chain, err := b.run(t.Context(), t, b.engine(script(t, example)), time.Minute)
	if err != nil || chain == "" {
		t.Errorf("%q, %v", chain, err)
	}
	if log := strings.Join(b.log, "\n"); !strings.Contains(log, "the checkpoint of step 3 is not kept: it could not be stored or registered now") {
		t.Errorf("its log is\n%s", log)
	}
}

// TestDevices: each of two jobs has devices of its own, and frees them.
func TestDevices(t *testing.T) {
	t.Parallel()
	benches := []*bench{newBench(t), newBench(t)}
	e := trainer.New(trainer.Config{
		Name: "command", Command: script(t, "testdata/rude.py"), Environ: os.Environ(), Environment: []string{"RUDE=hangs"},
		Devices: []string{"0,1", "2,3"}, Timing: child.Timing{Lost: time.Second},
	})
	seen := map[string]bool{}
	for range 2 { // the devices are free again
		var all sync.WaitGroup
		ready := make(chan struct{}, len(benches))
		ctx, cancel := context.WithCancelCause(t.Context())
		for _, b := range benches {
			all.Go(func() {
				if _, _, err := b.run(ctx, t, e, time.Minute); !errors.Is(err, errDone) {
					t.Error(err)
				}
			})
			all.Go(func() {
				<-b.steps
				ready <- struct{}{}
			})
		}
		for range benches {
			<-ready
		}
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environs {
			body, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(body), "RUDE=hangs") {
				continue
			}
			for _, d := range []string{"0,1", "2,3"} {
				if strings.Contains(string(body), "CUDA_VISIBLE_DEVICES="+d+"\x00") {
					seen[d] = true
				}
			}
		}
		cancel(errDone)
		all.Wait()
		if len(seen) != 2 {
			t.Errorf("the devices of the two trainers are %v", seen)
		}
		clear(seen)
	}
}

var errDone = errors.New("the test has seen enough")
