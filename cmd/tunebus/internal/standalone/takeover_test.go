package standalone_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// trainer is an engine that counts steps, with a checkpoint each few of them.
type trainer struct {
	steps, save int64
	keep        int // checkpoints; 0: as many as possible
	// value is the value of each point, by which a test knows the author.
	value float64
	// hold, when set, is called at each step.
	hold func(ctx context.Context, step int64) error
	// began gets the step that each attempt goes on from.
	began chan int64
}

func (e trainer) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	from := int64(0)
	if job.Resume.Dir != "" {
		raw, err := os.ReadFile(filepath.Join(job.Resume.Dir, "step"))
		if err != nil {
			return engine.Result{}, err
		}
		if from, err = strconv.ParseInt(string(raw), 10, 64); err != nil {
			return engine.Result{}, err
		}
	}
	if e.began != nil {
		e.began <- from
	}
	for step := from + 1; step <= e.steps; step++ {
		if err := job.Progress(ctx, step, e.steps, events.Point{Key: "loss", Value: e.value}); err != nil {
			return engine.Result{}, err
		}
		if e.hold != nil {
			if err := e.hold(ctx, step); err != nil {
				return engine.Result{}, err
			}
		}
		if e.save > 0 && step%e.save == 0 && step < e.steps {
			if err := e.checkpoint(ctx, job, step); err != nil {
				return engine.Result{}, err
			}
		}
	}
	path, err := job.Scratch("model.txt")
	if err != nil {
		return engine.Result{}, err
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "made by attempt %d", job.Attempt), 0o600); err != nil {
		return engine.Result{}, err
	}
	a, err := job.PutFile(ctx, events.ArtifactModel, "text/plain", path)
	return engine.Result{Artifacts: []events.Artifact{a}}, err
}

func (e trainer) checkpoint(ctx context.Context, job *engine.Job, step int64) error {
	dir, err := job.Scratch(fmt.Sprintf("cp-%d", step))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "step"), fmt.Append(nil, step), 0o600); err != nil {
		return err
	}
	return job.Checkpoint(ctx, step, dir, e.keep)
}

// until blocks at a step until the job is taken away.
func blockAt(at int64, reached chan<- struct{}) func(context.Context, int64) error {
	return func(ctx context.Context, step int64) error {
		if step != at {
			return nil
		}
		close(reached)
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

// storedMetrics reads the metric history that a phase stored.
func storedMetrics(t *testing.T, s *workshop, c *events.PhaseCompleted) []events.Point {
	t.Helper()
	ref, ok := c.Artifact(events.ArtifactMetrics)
	if !ok {
		t.Fatal("the phase has no metric history")
	}
	r, err := s.store.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []events.Point
	for dec := json.NewDecoder(r); dec.More(); {
		var p events.Point
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestDeadWorkerIsTakenOver: the connection of the holder breaks. After the
// ack wait the next one goes on from the newest checkpoint; when the first
// comes back it stops at once, drops what it stored and says nothing but that it
// lost.
func TestDeadWorkerIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	proxy := bustest.NewProxy(t, s.server.URL())
	at8 := make(chan struct{})
	var gone atomic.Int64
	stuck := trainer{steps: 10, save: 3, value: 1, hold: blockAt(8, at8)}
	s.worker(t, s.connect(t, proxy.URL), func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		defer func() { gone.Store(time.Now().UnixNano()) }()
		return stuck.Run(ctx, job)
	}, worker.Config{Name: "first"})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	<-at8
	s.until(t, "r", "the points are announced", func(events.Run) bool {
		top := int64(0)
		err := history.New(s.bus).Metrics("r", events.Finetune).Read(t.Context(), func(ev events.Event) { top = max(top, ev.(events.Progress).Step) })
		return err == nil && top > 0
	})
	proxy.Cut()

	began, go10 := make(chan int64, 1), make(chan struct{})
	at9 := make(chan struct{})
	s.worker(t, s.bus, trainer{steps: 10, save: 3, value: 2, began: began, hold: func(_ context.Context, step int64) error {
		if step == 8 {
			close(at9)
			<-go10
		}
		return nil
	}}.Run, worker.Config{Name: "second"})
	if from := <-began; from != 6 {
		t.Errorf("goes on from step %d, want 6", from)
	}
	<-at9
	if gone.Load() != 0 {
		t.Error("the first worker stopped before it could know")
	}
	proxy.Mend()
	back := time.Now()
	eventually(t, "the first worker stops", func() bool { return gone.Load() != 0 })
	eventually(t, "it says so", func() bool { return s.log.says("this attempt is abandoned", "attempt=1") })
	if took := time.Since(back); took > 10*time.Second {
		t.Errorf("it stopped %s after it was back", took)
	}
	// The checkpoint that its successor started from is still there.
	if !strings.Contains(strings.Join(s.keys(t, "r"), " "), "finetune/1/checkpoint-6") {
		t.Errorf("the checkpoint is gone: %v", s.keys(t, "r"))
	}
	close(go10)
	run := s.until(t, "r", "the phase's end", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	p := run.Phases[events.Finetune]
	if len(p.Attempts) != 2 || p.Attempts[1].Started.ResumedFrom != 6 || p.Attempts[1].Started.Worker != "second" || p.Attempts[0].Ended == nil || p.Attempts[0].Ended.Reason != events.EndLost {
		t.Errorf("attempts: %+v", p.Attempts)
	}
	if p.Completed.Attempt != 2 || p.Completed.Conclusion != events.Success {
		t.Errorf("completed: %+v", p.Completed)
	}
	s.settled(t)
	for _, key := range s.keys(t, "r") {
		if strings.Contains(key, "finetune/1/") || strings.Contains(key, "checkpoint") {
			t.Errorf("%s is left over", key)
		}
	}
	steps := map[int64]float64{}
	for _, pt := range storedMetrics(t, s, p.Completed) {
		if _, twice := steps[pt.Step]; twice {
			t.Errorf("step %d stands in the history twice", pt.Step)
		}
		steps[pt.Step] = pt.Value
	}
	if len(steps) != 10 || steps[6] != 1 || steps[10] != 2 {
		t.Errorf("history: %v", steps)
	}
}

// TestRepeatedStepsKeepTheFirstPoints: what an attempt announced behind its
// last checkpoint stays, whatever the next one measures at the same steps.
func TestRepeatedStepsKeepTheFirstPoints(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.accept(t, "r", nil, events.Finetune)
	var samples atomic.Int64
	sample := func(context.Context) []events.Point {
		return []events.Point{{Key: "cpu", Value: float64(samples.Add(1))}}
	}
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		eventually(t, "the attempt's sample of the machine", func() bool {
			seen := false
			err := history.New(s.bus).Metrics("r", events.Finetune).Read(ctx, func(ev events.Event) {
				e, ok := ev.(events.Telemetry)
				seen = seen || ok && e.Attempt == job.Attempt
			})
			return err == nil && seen
		})
		e := trainer{steps: 9, save: 4, value: float64(job.Attempt)}
		if job.Attempt < 3 {
			e.hold = func(_ context.Context, step int64) error {
				if step == int64(4+2*job.Attempt) { // at 6, and at 8 after the checkpoint of the first
					return fmt.Errorf("attempt %d breaks", job.Attempt)
				}
				return nil
			}
		}
		return e.Run(ctx, job)
	}, worker.Config{Sample: sample, Timing: worker.Timing{SampleInterval: time.Hour}})
	p := s.ended(t, "r").Phases[events.Finetune]
	if len(p.Attempts) != 3 || p.Attempts[1].Started.ResumedFrom != 4 || p.Attempts[2].Started.ResumedFrom != 4 {
		t.Fatalf("attempts: %+v", p.Attempts)
	}
	got := map[string][]string{}
	for _, pt := range storedMetrics(t, s, p.Completed) {
		got[pt.Key] = append(got[pt.Key], fmt.Sprintf("%d:%g", pt.Step, pt.Value))
	}
	if loss := strings.Join(got["loss"], " "); loss != "1:1 2:1 3:1 4:1 5:1 6:1 7:2 8:2 9:3" {
		t.Errorf("loss: %s", loss)
	}
	if cpu := strings.Join(got["system/cpu"], " "); cpu != "0:1 1:2 2:3" {
		t.Errorf("samples of the machine: %s", cpu)
	}
}

// TestUnusableCheckpointCostsWorkOnly: a checkpoint that does not verify is
// spoken of, and the work starts over.
func TestUnusableCheckpointCostsWorkOnly(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.accept(t, "r", nil, events.Finetune)
	began := make(chan int64, 2)
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		e := trainer{steps: 5, save: 2, began: began}
		if job.Attempt == 1 {
			e.hold = func(ctx context.Context, step int64) error {
				if step < 5 {
					return nil
				}
				for _, key := range s.keys(t, "r") {
					if err := s.store.Delete(ctx, key); err != nil {
						return err
					}
				}
				return fmt.Errorf("the store lost all")
			}
		}
		return e.Run(ctx, job)
	}, worker.Config{})
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	if first, second := <-began, <-began; first != 0 || second != 0 {
		t.Errorf("began at %d and %d", first, second)
	}
	if !s.log.says("checkpoint unusable", "step=4") {
		t.Error("nobody was told")
	}
}
