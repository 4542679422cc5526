package trackertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recording has the facts and artifacts of runs that went through the pipeline.
type recording struct {
	store *artifact.Store
	// runs has the facts of each run in the order of the stream, without
	// tracking.completed.
	runs map[string][]history.StoredFact
}

// recordRuns sends runs through the pipeline: one that succeeds, one that is
// retried, one that fails, one that is cancelled, and one that repeats the
// first.
func recordRuns(t *testing.T) recording {
	t.Helper()
	dir := t.TempDir()
	l, err := standalone.Start(t.Context(), standalone.Config{
		Settings: settings.Settings{
			Data:    settings.Data{Folder: filepath.Join(dir, "data")},
			Tracker: settings.Tracker{TrackingURI: "file://" + dir + "/mlruns", Reports: filepath.Join(dir, "reports")},
		},
		RelaxedSync: true, Engines: engines(),
		Tracker: func(c *tracker.Config) { c.QuietPeriod = 10 * time.Millisecond },
		Logger:  slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := recording{runs: map[string][]history.StoredFact{}}
	for _, run := range []string{"plain", "retried", "failed", "cancelled"} {
		publish(t, l.Bus, events.PipelineRequested{RunID: run, Specification: specification(t), Labels: map[string]string{"kind": run}})
	}
	waitFor(t, "the phase to cancel", func() bool {
		run, err := history.New(l.Bus).Run(t.Context(), "cancelled")
		return err == nil && run.Phases[events.Inference].Claimed()
	})
	publish(t, l.Bus, events.CancelRequested{RunID: "cancelled", By: "test"})
	waitFor(t, "the run to repeat", func() bool {
		run, err := history.New(l.Bus).Run(t.Context(), "plain")
		return err == nil && run.Completed != nil
	})
	publish(t, l.Bus, events.PipelineRequested{RunID: "rerun", RerunOf: "plain", From: events.Evaluation, Specification: json.RawMessage("{}")})
	for _, run := range []string{"plain", "retried", "failed", "cancelled", "rerun"} {
		waitFor(t, "the end of "+run, func() bool {
			state, err := history.New(l.Bus).Run(t.Context(), run)
			return err == nil && state.Tracked != nil
		})
		stored, err := history.New(l.Bus).RunHistory(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range stored.Facts {
			if _, ok := f.Event.(events.TrackingCompleted); !ok {
				r.runs[run] = append(r.runs[run], f)
			}
		}
	}
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if r.store, err = artifact.Open(t.Context(), "file://"+filepath.Join(dir, "data", "artifacts")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func publish(t *testing.T, c *conn.Conn, ev events.Event) {
	t.Helper()
	if _, err := journal.New(c).Publish(t.Context(), ev, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

func specification(t *testing.T) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(map[string]map[string]any{
		"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
		"inferencer": {"testing_data_id": "owner/data"},
		"evaluator":  {"metrics": []string{"exact_match"}},
		"pipeline":   {"max_tries": 2, "backoff": "1ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: timeout", what)
		}
	}
}

// engines returns engines that store a small artifact of each kind. The id of a
// run determines how the run ends.
func engines() map[events.Phase]engine.Engine {
	tune := func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		for step := range int64(5) {
			points := []events.Point{{Key: "loss", Value: 1 / float64(step+1)}, {Key: "learning_rate", Value: 0.1}}
			if err := job.Progress(ctx, step+1, 5, points...); err != nil {
				return engine.Result{}, err
			}
		}
		switch id := job.Request.RunID; {
		case id == "retried" && job.Attempt == 1, id == "failed":
			return engine.Result{}, errors.New("it did not work")
		}
		return putFile(ctx, job, events.ArtifactModel, "model.bin", "weights")
	}
	answer := func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if job.Request.RunID == "cancelled" {
			<-ctx.Done()
			return engine.Result{}, ctx.Err()
		}
		return putFile(ctx, job, events.ArtifactPredictions, "inferencer_output.jsonl",
			// The answers of each run differ: equal answers would be one data set
			// in MLflow, with the source of the first run.
			fmt.Sprintf(`{"question":"Who?","ground_truth":"Ada","answer":%q}`+"\n"+`{"question":"Where?","ground_truth":"Paris","answer":"Rome"}`+"\n", job.Request.RunID))
	}
	return map[events.Phase]engine.Engine{
		events.Finetune: engine.Func(tune), events.Inference: engine.Func(answer), events.Evaluation: evaluation.Engine{},
	}
}

// putFile stores a text as an artifact.
func putFile(ctx context.Context, job *engine.Job, name, file, content string) (engine.Result, error) {
	path, err := job.Scratch(file)
	if err != nil {
		return engine.Result{}, err
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return engine.Result{}, err
	}
	a, err := job.PutFile(ctx, name, "application/octet-stream", path)
	if err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Artifacts: []events.Artifact{a}, Statistics: map[string]float64{"rows": 2}, Notes: []string{"made for a test"}}, nil
}
