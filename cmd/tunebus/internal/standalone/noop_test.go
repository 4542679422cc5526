package standalone_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// noop is an engine that does nothing.
func noop(context.Context, *engine.Job) (engine.Result, error) { return engine.Result{}, nil }

func noops() map[events.Phase]engine.Engine {
	return map[events.Phase]engine.Engine{
		events.Finetune: engine.Func(noop), events.Inference: engine.Func(noop), events.Evaluation: engine.Func(noop),
	}
}

// start starts all services in this process, with no-op engines by default.
func start(t testing.TB, cfg standalone.Config) *standalone.Local {
	t.Helper()
	dir := t.TempDir()
	cfg.Settings.Data = settings.Data{Folder: dir, Roots: []string{dir}}
	cfg.Settings.Tracker.TrackingURI = "file://" + dir + "/mlruns"
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	if cfg.Engines == nil {
		cfg.Engines = noops()
	}
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

// request requests a run with models and data that no-op engines do not read.
func request(t testing.TB, l *standalone.Local, id string, sections map[string]map[string]any) {
	t.Helper()
	spec := map[string]map[string]any{
		"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
		"inferencer": {"testing_data_id": "owner/data"},
	}
	for section, keys := range sections {
		if spec[section] == nil {
			spec[section] = map[string]any{}
		}
		for k, v := range keys {
			spec[section][k] = v
		}
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.New(l.Bus).Publish(t.Context(), events.PipelineRequested{RunID: id, Specification: raw}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

// ended waits until a run is completed, and tracked if tracked is set.
func ended(t testing.TB, l *standalone.Local, id string, tracked bool) events.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	wakeups, err := wakeup.Watch(ctx, l.Bus, "*.*."+id, "*.*."+id+".*")
	if err != nil {
		t.Fatal(err)
	}
	for {
		run, err := history.New(l.Bus).Run(ctx, id)
		if err != nil {
			t.Fatalf("run %s did not end: %v", id, err)
		}
		if run.Completed != nil && (!tracked || run.Tracked != nil) {
			return run
		}
		select {
		case <-wakeups:
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("run %s did not end; it is %s: %+v", id, run.Status(), run.Phases)
		}
	}
}

// order returns the types of the facts of a run, in the order of the stream.
func order(t *testing.T, l *standalone.Local, id string) string {
	t.Helper()
	facts, err := history.New(l.Bus).Facts(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, f := range facts {
		types = append(types, f.Event.Type())
	}
	return strings.Join(types, " ")
}

func TestNoopPipeline(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true})
	request(t, l, "r1", nil)
	run := ended(t, l, "r1", true)
	if run.Completed.Conclusion != events.Success || len(run.Completed.Phases) != 3 {
		t.Errorf("completed: %+v", run.Completed)
	}
	want := "pipeline.accepted finetune.requested finetune.started finetune.completed inference.requested inference.started inference.completed evaluation.requested evaluation.started evaluation.completed pipeline.completed tracking.completed"
	if got := order(t, l, "r1"); got != want {
		t.Errorf("facts:\n%s\nwant\n%s", got, want)
	}
	for _, link := range []string{"mlflow_pipeline", "mlflow_finetune", "mlflow_inference", "mlflow_evaluation", "pipeline_summary.json"} {
		if run.Tracked.Links[link] == "" {
			t.Errorf("no link %s among %v", link, run.Tracked.Links)
		}
	}
}
