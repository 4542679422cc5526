//go:build trl

package trainer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/finetune/trainer"
)

// workerFolder is the variable that makes a test a worker with the folder of a bench.
const workerFolder = "TUNEBUS_TEST_WORKER_FOLDER"

// twoProcesses makes the training of a bench one of two processes of the engine trl.
func (b *bench) twoProcesses(t *testing.T) *trainer.Engine {
	t.Helper()
	python := os.Getenv("TUNEBUS_TEST_TRL_PYTHON")
	if python == "" {
		t.Fatal("TUNEBUS_TEST_TRL_PYTHON names no interpreter; use make test-trl")
	}
	code, err := filepath.Abs("../../../trainers/python")
	if err != nil {
		t.Fatal(err)
	}
	b.change = func(s *events.Specification) {
		f := &s.FineTuner
		f.Devices, f.Epochs, f.DType, f.Rank, f.LoRADropout, f.MaxSequenceLength = 2, 4, "float32", 8, 0.1, 64
	}
	return b.engine([]string{python, "-m", "tunebus_trainer"}, "PYTHONPATH="+code, "OMP_NUM_THREADS=1")
}

// digest is that of the weights of the result.
func (b *bench) digest(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(b.dir, events.ArtifactModel, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(body))
}

// kill kills the processes of the job that a condition on their environment and their
// command chooses.
func (b *bench) kill(which func(environ, command string) bool) (killed int) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		environ, err := os.ReadFile(path)
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		var pid int
		if _, scan := fmt.Sscanf(path, "/proc/%d/", &pid); err != nil || scan != nil || !strings.Contains(string(environ), "OF_TEST="+b.dir) {
			continue
		}
		if which(string(environ), string(command)) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// strike runs strike once a step is done, unless the context ends before.
func (b *bench) strike(ctx context.Context, step int64, strike func()) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case at := <-b.steps:
				if at >= step {
					strike()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// newestKept finds the checkpoints of a worker that was killed.
func (b *bench) newestKept() {
	all, _ := filepath.Glob(filepath.Join(b.dir, "kept-*"))
	for _, dir := range all {
		var step int64
		if _, err := fmt.Sscanf(filepath.Base(dir), "kept-%d-", &step); err == nil && !strings.HasSuffix(dir, ".part") && step > b.saved.Step {
			b.saved = engine.Resume{Step: step, Dir: dir}
		}
	}
}

// TestTRLTwoProcesses: a training of two processes that is struck in its middle leaves no
// process, goes on, and ends with the weights of one that was not disturbed.
func TestTRLTwoProcesses(t *testing.T) {
	if os.Getenv("TUNEBUS_TEST_FULL") == "" {
		t.Skip("make test-trl FULL=1 runs it") // it takes minutes, which CI does not have
	}
	whole := newBench(t)
	if _, _, err := whole.run(t.Context(), t, whole.twoProcesses(t), time.Minute); err != nil {
		t.Fatal(err)
	}
	whole.gone(t)
	want := whole.digest(t)
	isRank := func(n int) func(string, string) bool {
		return func(environ, _ string) bool { return strings.Contains(environ, fmt.Sprintf("\x00RANK=%d\x00", n)) }
	}
	for _, c := range []struct {
		name, want string
		which      func(environ, command string) bool
	}{
		{"the child is killed", "the trainer was killed by a signal that tunebus did not send", func(environ, command string) bool {
			return strings.Contains(command, "-m\x00tunebus_trainer\x00--job") && !strings.Contains(command, "torch.distributed.run") && !strings.Contains(environ, "\x00RANK=") &&
				!strings.HasPrefix(command, "tunebus-supervisor")
		}},
		{"a rank is killed", "the process of rank 1 of 2 ended without a word", isRank(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			e := b.twoProcesses(t)
			killed := 0
			wait := b.strike(t.Context(), 5, func() { killed = b.kill(c.which) })
			_, _, err := b.run(t.Context(), t, e, time.Minute)
			wait()
			b.gone(t)
			if killed != 1 || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%d processes were killed, and it ended with %v, want %q", killed, err, c.want)
			}
			b.resumes(t, e, want)
		})
	}
	t.Run("the worker stops", func(t *testing.T) {
		b := newBench(t)
		e := b.twoProcesses(t)
		ctx, done := b.until(t.Context(), 5, engine.ErrShutdown)
		_, _, err := b.run(ctx, t, e, 5*time.Minute)
		done()
		b.gone(t)
		if !errors.Is(err, engine.ErrShutdown) || b.saved.Step < 5 {
			t.Fatalf("it ended with %v and a checkpoint of step %d", err, b.saved.Step)
		}
		b.resumes(t, e, want)
	})
	t.Run("the worker is killed", func(t *testing.T) {
		b := newBench(t)
		e := b.twoProcesses(t)
		worker := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWorker$", "-test.v")
		worker.Env = append(os.Environ(), workerFolder+"="+b.dir)
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(15 * time.Minute) // machines may be busy
		for b.newestKept(); b.saved.Step < 6 && time.Now().Before(deadline); b.newestKept() {
			time.Sleep(50 * time.Millisecond) // another process has the training
		}
		_ = worker.Process.Kill() // it may have ended
		_ = worker.Wait()         // it was killed
		b.eventuallyGone(t)
		b.newestKept()
		b.resumes(t, e, want)
	})
}

// eventuallyGone waits until no process of the job is left: those of a killed worker end by
// themselves.
func (b *bench) eventuallyGone(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left := 0
		b.kill(func(string, string) bool {
			left++
			return false
		})
		if left == 0 {
			return
		}
	}
	b.gone(t)
}

// resumes goes on from the newest checkpoint to the end.
func (b *bench) resumes(t *testing.T, e *trainer.Engine, want string) {
	t.Helper()
	if b.saved.Step == 0 {
		t.Fatal("it has no checkpoint")
	}
	if _, _, err := b.run(t.Context(), t, e, time.Minute); err != nil {
		t.Fatal(err)
	}
	b.gone(t)
	if got := b.digest(t); got != want {
		t.Errorf("its weights are %s, want %s", got, want)
	}
	t.Logf("it went on from step %d", b.saved.Step)
}

// TestWorker is the worker of another test, which kills it.
func TestWorker(t *testing.T) {
	dir := os.Getenv(workerFolder)
	if dir == "" {
		t.Skip("TestTRLTwoProcesses starts it")
	}
	b := newBench(t)
	b.dir = dir
	_, _, err := b.run(t.Context(), t, b.twoProcesses(t), time.Minute)
	t.Log(err)
}
