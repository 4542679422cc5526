package trackertest_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker"
)

// loggedSteps is the number of steps that the training of a recorded run logged.
const loggedSteps = 100

// BenchmarkReplayTracking writes the MLflow runs and reports of 1,000 recorded
// runs into an empty folder. Each run has three phases, a metric history of 100
// steps, a model, predictions and scores.
func BenchmarkReplayTracking(b *testing.B) {
	const runs = 1000
	c := bustest.Connect(b, bustest.Start(b, embedded.Options{}))
	if err := topology.Apply(b.Context(), c, topology.Topology{}); err != nil {
		b.Fatal(err)
	}
	store, err := artifact.Open(b.Context(), "file://"+b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	}()
	for i := range runs {
		for _, ev := range trackedRun(b, store, fmt.Sprintf("run-%04d", i)) {
			if _, err := journal.New(c).Publish(b.Context(), ev, journal.Fence{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		dir := b.TempDir()
		cfg := tracker.Config{TrackingURI: "file://" + filepath.Join(dir, "mlruns"), Reports: filepath.Join(dir, "reports")}
		written := 0
		err := tracker.New(c, store, cfg).Replay(b.Context(), tracker.Replay{OnRun: func(one tracker.Rebuilt, _ int) {
			if one.Outcome == tracker.Written {
				written++
			}
		}})
		if err != nil || written != runs {
			b.Fatalf("%d of %d runs, %v", written, runs, err)
		}
	}
	b.ReportMetric(float64(runs)*float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// trackedRun stores the artifacts of a tracked run, and returns its facts.
func trackedRun(b *testing.B, store *artifact.Store, run string) []events.Event {
	b.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	put := func(p events.Phase, name, file, content string) events.Artifact {
		key, err := artifact.Key(run, p, 1, file)
		if err != nil {
			b.Fatal(err)
		}
		ref, err := store.Put(b.Context(), key, "application/octet-stream", strings.NewReader(content))
		if err != nil {
			b.Fatal(err)
		}
		return events.Artifact{Name: name, Reference: ref}
	}
	var metrics strings.Builder
	for step := range loggedSteps {
		fmt.Fprintf(&metrics, `{"key":"loss","value":%g,"step":%d,"time":%q}`+"\n", 1/float64(step+1), step+1, at.Add(time.Duration(step)*time.Second).Format(time.RFC3339))
	}
	artifacts := map[events.Phase][]events.Artifact{
		events.Finetune:  {put(events.Finetune, events.ArtifactModel, "model.bin", strings.Repeat("w", 64<<10)), put(events.Finetune, events.ArtifactMetrics, "metrics.jsonl", metrics.String())},
		events.Inference: {put(events.Inference, events.ArtifactPredictions, "inferencer_output.jsonl", `{"question":"q","ground_truth":"a","answer":"`+run+`"}`+"\n")},
		events.Evaluation: {put(events.Evaluation, events.ArtifactScores, "scores.jsonl",
			strings.Repeat(`{"question":"q","ground_truth":"a","answer":"a","scores":{"exact_match":1}}`+"\n", 100))},
	}
	var plan []events.Step
	for _, p := range events.Phases() {
		plan = append(plan, events.Step{Phase: p, Queue: "builtin"})
	}
	out := []events.Event{events.PipelineAccepted{
		RunID: run, RunName: run, RequestedAt: at, Plan: plan, Specification: events.Specification{MLflow: events.MLflow{ExperimentName: "recorded"}},
	}}
	done := events.PipelineCompleted{RunID: run, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Hour), DurationSeconds: 3600}
	for _, step := range plan {
		out = append(out,
			events.PhaseRequested{RunID: run, RunName: run, Phase: step.Phase, Queue: step.Queue, Plan: plan},
			events.PhaseStarted{RunID: run, Phase: step.Phase, Attempt: 1, Worker: "w", StartedAt: at},
			events.PhaseCompleted{RunID: run, Phase: step.Phase, Attempt: 1, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute), Artifacts: artifacts[step.Phase]})
		done.Phases = append(done.Phases, events.PhaseResult{Phase: step.Phase, Conclusion: events.Success, DurationSeconds: 60, Attempts: 1})
	}
	return append(out, done, events.TrackingCompleted{RunID: run})
}
