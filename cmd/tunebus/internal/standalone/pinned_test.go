package standalone_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// TestRerunPinsWhatItUses: garbage is collected all the time, without a grace,
// while a run is repeated. What it uses of the old run is there from its
// request to its end and behind it, also when nothing else is left of the old
// run by then.
func TestRerunPinsWhatItUses(t *testing.T) {
	t.Parallel()
	write := func(ctx context.Context, job *engine.Job, name, text string) (engine.Result, error) {
		path, err := job.Scratch(name + ".txt")
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			return engine.Result{}, err
		}
		a, err := job.PutFile(ctx, name, "text/plain", path)
		return engine.Result{Artifacts: []events.Artifact{a}}, err
	}
	working, goOn := make(chan struct{}), make(chan struct{})
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		return write(ctx, job, events.ArtifactModel, "the model of "+job.Request.RunID)
	})
	e[events.Inference] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if job.Request.RunID == "new" {
			close(working)
			<-goOn
		}
		path, err := job.Fetch(ctx, *job.Request.Inputs.Model, "model")
		if err != nil {
			return engine.Result{}, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return engine.Result{}, err
		}
		return write(ctx, job, events.ArtifactPredictions, "answers of "+string(text))
	})
	l := tracked(t, standalone.Config{Engines: e}, t.TempDir())
	request(t, l, "old", map[string]map[string]any{"pipeline": {"stop_after_inference": true}})
	old := ended(t, l, "old", true)
	model, ok := old.Phases[events.Finetune].Completed.Artifact(events.ArtifactModel)
	if !ok {
		t.Fatal("the old run has no model")
	}
	there := func(key string) bool {
		t.Helper()
		for o, err := range l.Store.List(t.Context(), key) {
			if err != nil {
				t.Fatal(err)
			}
			return o.Key == key
		}
		return false
	}
	litter, round := "runs/old/finetune/9/litter.txt", 0
	collect := func() {
		t.Helper()
		round++
		if _, err := l.Store.Put(t.Context(), litter, "text/plain", strings.NewReader("nobody's")); err != nil && !errors.Is(err, artifact.ErrExists) {
			t.Error(err)
		}
		if _, err := gc.New(l.Bus, l.Store, gc.Options{}).Run(t.Context()); err != nil {
			t.Error(err)
		}
		if there(litter) {
			t.Errorf("round %d has collected nothing", round)
		}
		if !there(model.Key) {
			t.Fatalf("round %d has collected the model", round)
		}
	}

	stop := make(chan struct{})
	var collecting sync.WaitGroup
	collecting.Go(func() { // ends below
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := gc.New(l.Bus, l.Store, gc.Options{}).Run(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if _, err := journal.New(l.Bus).Publish(t.Context(), events.PipelineRequested{RunID: "new", RerunOf: "old", From: events.Inference}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	<-working
	close(stop)
	collecting.Wait()

	collect()
	if r, err := archive.NewArchiver(l.Bus, l.Store, archive.Options{}).Run(t.Context()); err != nil || len(r.Archived) != 1 {
		t.Fatalf("archived %+v, %v", r, err)
	} else if err := l.Store.Delete(t.Context(), r.Archived[0].Archive.Key); err != nil {
		t.Fatal(err)
	}
	collect()
	close(goOn)
	run := ended(t, l, "new", true)
	if run.Completed.Conclusion != events.Success {
		t.Fatalf("ended %s: %+v", run.Completed.Conclusion, run.Completed.Phases)
	}
	collect()
	answers, _ := run.Phases[events.Inference].Completed.Artifact(events.ArtifactPredictions)
	path := filepath.Join(t.TempDir(), "answers")
	if err := transfer.New(l.Store).Fetch(t.Context(), answers, path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "answers of the model of old" {
		t.Errorf("%q, %v", text, err)
	}
}
