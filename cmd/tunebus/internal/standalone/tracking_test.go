package standalone_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
)

// trackedSettings are settings whose data, reports and file store are in dir.
func trackedSettings(dir string) settings.Settings {
	return settings.Settings{
		Data:    settings.Data{Folder: filepath.Join(dir, "data"), Roots: []string{dir}},
		Tracker: settings.Tracker{TrackingURI: "file://" + dir + "/mlruns", Reports: filepath.Join(dir, "reports")},
	}
}

// tracked starts all services; the tracker writes into the folder mlruns of dir.
func tracked(t *testing.T, cfg standalone.Config, dir string) *standalone.Local {
	t.Helper()
	cfg.RelaxedSync, cfg.Settings = true, trackedSettings(dir)
	if cfg.Engines == nil {
		cfg.Engines = noops()
	}
	cfg.Tracker = func(c *tracker.Config) { c.QuietPeriod = 50 * time.Millisecond }
	l, err := standalone.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// child waits for the folder of the MLflow run of a phase.
func child(t *testing.T, dir, run, name string) string {
	t.Helper()
	var found string
	waitFor(t, "the MLflow run of "+name, func() bool {
		tags, err := filepath.Glob(filepath.Join(dir, "mlruns", "*", "*", "tags", "tunebus.run_id"))
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			folder := filepath.Dir(filepath.Dir(tag))
			id, _ := os.ReadFile(tag) // it may not be complete yet
			p, _ := os.ReadFile(filepath.Join(folder, "tags", "tunebus.phase"))
			if string(id) == run && string(p) == name {
				found = folder
			}
		}
		return found != ""
	})
	return found
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestTrackerShowsPointsOfRunningPhase: MLflow gets points while the phase runs, and in
// the end has each step once.
func TestTrackerShowsPointsOfRunningPhase(t *testing.T) {
	t.Parallel()
	const steps = 40
	release := make(chan struct{})
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		for step := range int64(steps) {
			if err := job.Progress(ctx, step+1, steps, events.Point{Key: "loss", Value: 1 / float64(step+1)}); err != nil {
				return engine.Result{}, err
			}
			if step == steps/2 {
				<-release
			}
		}
		return engine.Result{}, nil
	})
	dir := t.TempDir()
	l := tracked(t, standalone.Config{Engines: e}, dir)
	request(t, l, "r", nil)
	folder := child(t, dir, "r", "finetune")
	loss := filepath.Join(folder, "metrics", "loss")
	waitFor(t, "points before the phase has ended", func() bool {
		body, err := os.ReadFile(loss)
		return err == nil && strings.Count(string(body), "\n") >= 1
	})
	meta, err := os.ReadFile(filepath.Join(folder, "meta.yaml"))
	if err != nil || !strings.Contains(string(meta), "status: 1") { // RUNNING
		t.Errorf("%v\n%s", err, meta)
	}
	close(release)
	ended(t, l, "r", true)
	body, err := os.ReadFile(loss)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line) // time, value, step
		seen[fields[2]]++
	}
	for step := 1; step <= steps; step++ {
		if n := seen[fmt.Sprint(step)]; n != 1 {
			t.Errorf("step %d is there %d times", step, n)
		}
	}
}

// TestTrackerKillsCancelledRuns: the MLflow runs of a cancelled run are killed, but not
// those of its finished phases.
func TestTrackerKillsCancelledRuns(t *testing.T) {
	t.Parallel()
	e := noops()
	e[events.Inference] = engine.Func(func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
		<-ctx.Done()
		return engine.Result{}, ctx.Err()
	})
	dir := t.TempDir()
	l := tracked(t, standalone.Config{Engines: e}, dir)
	request(t, l, "r", nil)
	child(t, dir, "r", "inference")
	cancel(t, l, "r")
	ended(t, l, "r", true)
	for name, status := range map[string]string{"pipeline": "5", "inference": "5", "finetune": "3"} { // KILLED, FINISHED
		meta, err := os.ReadFile(filepath.Join(child(t, dir, "r", name), "meta.yaml"))
		if err != nil || !strings.Contains(string(meta), "status: "+status) {
			t.Errorf("%s: want status %s (%v)\n%s", name, status, err, meta)
		}
	}
}

// snapshot reads every file of a tracking store.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		rel, rerr := filepath.Rel(dir, path)
		if rerr == nil {
			out[rel] = string(body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTrackerRestartChangesNothing: a restart does not change a tracked run.
func TestTrackerRestartChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(uri string, want bool) {
		cfg := trackedSettings(dir)
		cfg.Tracker.TrackingURI = uri
		l, err := standalone.Start(t.Context(), standalone.Config{
			RelaxedSync: true, Settings: cfg, Engines: noops(),
			Tracker: func(c *tracker.Config) { c.QuietPeriod = 20 * time.Millisecond },
		})
		if err != nil {
			t.Fatal(err)
		}
		if want {
			request(t, l, "r", nil)
		}
		ended(t, l, "r", true)
		if err := l.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	first := filepath.Join(dir, "mlruns")
	run("file://"+first, true)
	before := snapshot(t, first)
	if len(before) < 100 {
		t.Fatalf("%d files are too few for four runs", len(before))
	}
	run("file://"+first, false)
	after := snapshot(t, first)
	for name, body := range after {
		if before[name] != body {
			t.Errorf("%s changed from %q to %q", name, before[name], body)
		}
	}
	if names := missing(before, after); len(names) > 0 {
		t.Errorf("%v are gone", names)
	}
}

func missing(before, after map[string]string) []string {
	var out []string
	for name := range before {
		if _, ok := after[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestTrackerShowsAttempts: every attempt, also a failed one, is a tag of the MLflow
// run of its phase, and is in the summary.
func TestTrackerShowsAttempts(t *testing.T) {
	t.Parallel()
	e := noops()
	e[events.Inference] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if err := job.Progress(ctx, int64(job.Attempt), 3); err != nil {
			return engine.Result{}, err
		}
		if job.Attempt < 3 {
			return engine.Result{}, &engine.JobError{Code: "oom", Err: fmt.Errorf("out of memory at attempt %d", job.Attempt)}
		}
		return engine.Result{}, nil
	})
	dir := t.TempDir()
	l := tracked(t, standalone.Config{Engines: e}, dir)
	request(t, l, "r", map[string]map[string]any{"pipeline": {"backoff": "300ms"}})
	folder := child(t, dir, "r", "inference") // it is there before the last attempt
	ended(t, l, "r", true)
	for n, want := range map[int]string{
		1: "error (oom: out of memory at attempt 1) at step 1 (1 without a checkpoint); worker ",
		2: "error (oom: out of memory at attempt 2) at step 2 (2 without a checkpoint); worker ",
		3: "success; worker ",
	} {
		tag, err := os.ReadFile(filepath.Join(folder, "tags", fmt.Sprint("tunebus.attempt.", n)))
		if err != nil || !strings.HasPrefix(string(tag), want) || !strings.Contains(string(tag), "Z to ") {
			t.Errorf("attempt %d: %q (%v), want %q", n, tag, err, want)
		}
	}
	body, err := os.ReadFile(filepath.Join(dir, "reports", "r", report.PipelineSummaryName))
	if err != nil {
		t.Fatal(err)
	}
	var s pipelinesummary.Summary
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	a := s.Phases[1].AttemptResults
	if len(a) != 3 {
		t.Fatalf("the summary has the attempts %+v", a)
	}
	wantEqual(t, "the outcome of attempt 1", a[0].Outcome, "error")
	wantEqual(t, "the error of attempt 1", a[0].Error.Code, "oom")
	wantEqual(t, "the last step of attempt 2", a[1].LastStep, 2)
	wantEqual(t, "the outcome of attempt 3", a[2].Outcome, "success")
	if a[2].EndedAt.IsZero() {
		t.Error("attempt 3 has no end")
	}
}

// TestTrackerKillsQueuedRuns: a cancelled run whose phase never started has a killed
// MLflow run of that phase.
func TestTrackerKillsQueuedRuns(t *testing.T) {
	t.Parallel()
	e := noops()
	delete(e, events.Inference) // the phase has no worker
	dir := t.TempDir()
	l := tracked(t, standalone.Config{Engines: e}, dir)
	request(t, l, "r", nil)
	child(t, dir, "r", "finetune")
	cancel(t, l, "r")
	ended(t, l, "r", true)
	for name, status := range map[string]string{"pipeline": "5", "inference": "5", "finetune": "3"} { // KILLED, FINISHED
		meta, err := os.ReadFile(filepath.Join(child(t, dir, "r", name), "meta.yaml"))
		if err != nil || !strings.Contains(string(meta), "status: "+status) {
			t.Errorf("%s: want status %s (%v)\n%s", name, status, err, meta)
		}
	}
}
