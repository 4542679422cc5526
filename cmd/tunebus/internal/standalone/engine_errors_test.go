package standalone_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/finetune"
)

// TestFinetuneEngineErrors: an error that may pass is retried; an error that cannot
// pass ends the phase at once.
func TestFinetuneEngineErrors(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	folder := t.TempDir()
	s.store = openStore(t, folder)
	rows := "{\"question\":\"who?\",\"answer\":\"nobody\"}\n"
	reference := func(key string) events.Reference {
		ref, err := s.store.Put(t.Context(), key, "application/jsonl", strings.NewReader(rows))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	damaged, removed := reference("uploads/damaged.jsonl"), reference("uploads/removed.jsonl")
	if err := os.WriteFile(storedFile(t, folder, "damaged.jsonl"), []byte(strings.ToUpper(rows)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Delete(t.Context(), removed.Key); err != nil {
		t.Fatal(err)
	}
	withData := func(ref events.Reference) func(*events.PipelineAccepted) {
		return func(a *events.PipelineAccepted) {
			a.Inputs.Files = map[string]events.Reference{"fine_tuner.training_data_id": ref}
		}
	}
	refusing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refusing.Close)
	roots, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id, hub  string
		change   func(*events.PipelineAccepted)
		attempts int
		code     string
		want     string
	}{
		{"hub-unreachable", "http://127.0.0.1:1", func(a *events.PipelineAccepted) { a.Specification.FineTuner.BaseModelID = "owner/model" }, 2, "unreachable", "the Hub cannot be reached"},
		{"hub-refuses", refusing.URL, func(a *events.PipelineAccepted) { a.Specification.FineTuner.BaseModelID = "owner/model" }, 1, "hub", "it does not exist"},
		{"column", "", func(a *events.PipelineAccepted) { a.Specification.FineTuner.QuestionColumn = "prompt" }, 1, "bad_dataset", `no column "prompt"`},
		{"file", "", func(a *events.PipelineAccepted) { a.Specification.FineTuner.TrainingDataID = "none.jsonl" }, 1, "missing_input", "none.jsonl"},
		{"damaged", "", withData(damaged), 2, "corrupt_artifact", "is corrupt"},
		{"removed", "", withData(removed), 1, "missing_artifact", "no such artifact"},
		{"diverged", "", func(a *events.PipelineAccepted) { a.Specification.FineTuner.LearningRate = 1e30 }, 1, "diverged", "fine_tuner.learning_rate = 1e+30: "},
	} {
		cfg := worker.Config{Sources: engine.Sources{Roots: []string{roots}}}
		if c.hub != "" {
			client, err := huggingface.New(huggingface.Options{Endpoint: c.hub, Cache: t.TempDir(), Tries: 1, Backoff: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Sources.Hub = client
		}
		stop := s.worker(t, s.bus, finetune.Engine{}.Run, cfg)
		s.accept(t, c.id, func(a *events.PipelineAccepted) {
			a.Specification.Pipeline.MaxTries = 2
			f := &a.Specification.FineTuner
			f.BaseModelID, f.TrainingDataID, f.FullFinetuning, f.MaxSequenceLength, f.WarmupSteps = "base-model", "validation.jsonl", true, 64, 0
			c.change(a)
		}, events.Finetune)
		p := s.ended(t, c.id).Phases[events.Finetune]
		stop()
		wantEqual(t, c.id+": attempts", len(p.Attempts), c.attempts)
		if e := p.Completed.Error; e == nil || e.Code != c.code || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: %+v, want %s: %s", c.id, e, c.code, c.want)
		}
	}
}

// storedFile is the file that a store in a folder keeps an object in.
func storedFile(t *testing.T, folder, name string) string {
	t.Helper()
	matches, err := filepath.Glob(filepath.Join(folder, "*", name))
	if err != nil || len(matches) != 1 {
		t.Fatalf("%v (%v)", matches, err)
	}
	return matches[0]
}
