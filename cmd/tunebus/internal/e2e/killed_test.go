package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
)

// saveSteps and perEpoch are those of [long].
const (
	saveSteps = 5
	perEpoch  = 5
)

// long is a specification whose phases take some seconds each: an adapter
// with dropout, answers chosen at random, and a judge.
func long(epochs int, judge string, finetuneOnly bool) string {
	return fmt.Sprintf(`{
  "fine_tuner": {"base_model_id": "base-model", "training_data_id": "validation.jsonl", "validation_data_id": "validation.jsonl",
    "max_sequence_length": 64, "rank": 4, "lora_alpha": 8, "lora_dropout": 0.1, "device_train_batch_size": 4, "grad_accumulation": 1,
    "epochs": %d, "warmup_steps": 2, "save_steps": 5, "save_total_limit": 2},
  "inferencer": {"testing_data_id": "test.jsonl", "temperature": 0.8, "max_new_tokens": 24, "batch_size": 4},
  "evaluator": {"metrics": ["rouge_score", "semantic_similarity"], "judge_base_url": %q},
  "pipeline": {"stop_after_finetuning": %t}}`, epochs, judge, finetuneOnly)
}

// embedder is a judge that knows how to embed and takes its time, and notes
// when it was asked.
type embedder struct {
	takes time.Duration

	mu    sync.Mutex
	asked map[string][]time.Time // by the first part of the path
}

func (e *embedder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	run, _, _ := strings.Cut(r.URL.Path[1:], "/")
	e.asked[run] = append(e.asked[run], time.Now())
	e.mu.Unlock()
	select {
	case <-time.After(e.takes): // as a model would
	case <-r.Context().Done():
	}
	var data []map[string]any
	for i, text := range req.Input {
		data = append(data, map[string]any{"index": i, "embedding": []float64{1, float64(len(text) % 7)}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]any{"prompt_tokens": 5}}) // the client may have been killed
}

// since counts the questions about a run from a time on.
func (e *embedder) since(run string, at time.Time) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, t := range e.asked[run] {
		if !t.Before(at) {
			n++
		}
	}
	return n
}

// TestKilledWorkers: a run whose workers are killed at every phase, three of
// them while they fine-tune, is taken over in time each time, repeats no more
// than what no checkpoint held, and makes what an undisturbed run makes.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	judge := &embedder{takes: 50 * time.Millisecond, asked: map[string][]time.Time{}}
	server := httptest.NewServer(judge)
	t.Cleanup(server.Close)
	c := newCluster(t, "TUNEBUS_SERVICES_EVALUATION_JUDGE_BASE_URL="+server.URL)
	for _, program := range []string{processes.Finetune, processes.Inference, processes.Evaluation} {
		for range 3 { // one for each run, and one that waits
			c.work(t, program)
		}
	}
	for _, id := range []string{"rough", "calm"} {
		c.ask(t, id, long(15, server.URL+"/"+id, false))
	}
	killed := map[int]bool{}
	for _, step := range []int64{8, 16, 29} {
		killed[c.kill(t, "rough", events.Finetune, step)] = true
		c.work(t, processes.Finetune)
	}
	// The next one is told to stop, and loses nothing.
	_, told := c.holder(t, "rough", events.Finetune, 33)
	told.Stop(t)
	c.kill(t, "rough", events.Inference, 24)
	c.kill(t, "rough", events.Evaluation, 24)
	rough, calm := c.ended(t, "rough"), c.ended(t, "calm")

	c.repeated(t, rough, killed)
	const rows = 128
	attempts := rough.Phases[events.Evaluation].Attempts
	had := attempts[len(attempts)-1].Started.ResumedFrom
	asked := judge.since("rough", c.started(t, "rough", events.Evaluation, len(attempts)))
	if all := judge.since("calm", time.Time{}); all%rows != 0 || asked != all/rows*int(rows-had) {
		t.Errorf("the judge was asked %d times about the %d rows that had no score yet, %d times about all %d rows undisturbed", asked, rows-had, all, rows)
	}
	for p, names := range map[events.Phase][]string{
		events.Finetune: {events.ArtifactModel}, events.Inference: {events.ArtifactPredictions}, events.Evaluation: {"scores"},
	} {
		for _, name := range names {
			a, okA := calm.Phases[p].Completed.Artifact(name)
			b, okB := rough.Phases[p].Completed.Artifact(name)
			if !okA || !okB || a.SHA256 != b.SHA256 {
				t.Errorf("%s: undisturbed %s, killed %s", name, a.SHA256, b.SHA256)
			}
		}
	}
	c.history(t, rough)
	c.tracked(t, rough)
	c.clean(t, calm, rough)
}

// repeated wants every attempt to go on from the newest checkpoint: of what the
// one before is known to have done, no more than save_steps steps are repeated
// after a kill, and none after a shutdown.
func (c *cluster) repeated(t *testing.T, run events.Run, killed map[int]bool) {
	t.Helper()
	shutdowns := 0
	for p, state := range run.Phases {
		for i, a := range state.Attempts[1:] {
			before, from := state.Attempts[i], a.Started.ResumedFrom
			said := c.said(run.ID, p, before.Number)
			done := said[len(said)-1].Step
			t.Logf("%s: attempt %d was seen at step %d, %d goes on from %d", p, before.Number, done, a.Number, from)
			if first := c.said(run.ID, p, a.Number)[0].Step; p != events.Evaluation && first <= from {
				t.Errorf("%s: attempt %d says that it goes on from %d, and begins with step %d", p, a.Number, from, first)
			}
			switch {
			case before.Ended != nil && before.Ended.Reason == events.EndShutdown:
				shutdowns++
				if before.Ended.LastStep != from {
					t.Errorf("%s: attempt %d was told to stop at step %d, %d goes on from %d", p, before.Number, before.Ended.LastStep, a.Number, from)
				}
			case p == events.Finetune && before.Ended == nil && (!killed[before.Number] || done-from > saveSteps || from%saveSteps != 0):
				t.Errorf("%s: attempt %d ended without a word at %d, %d goes on from %d", p, before.Number, done, a.Number, from)
			case from == 0:
				t.Errorf("%s: attempt %d starts over", p, a.Number)
			}
		}
	}
	if n := run.Phases[events.Finetune].Crashes(); n != 3 || shutdowns != 1 {
		t.Errorf("%d crashes and %d shutdowns are known, want 3 and 1", n, shutdowns)
	}
}

// history wants the metric history to have every step once.
func (c *cluster) history(t *testing.T, run events.Run) {
	t.Helper()
	ref, ok := run.Phases[events.Finetune].Completed.Artifact(events.ArtifactMetrics)
	if !ok {
		t.Fatal("there is no metric history")
	}
	r, err := c.store.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := map[string][]int64{}
	for dec := json.NewDecoder(r); ; {
		var p events.Point
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		at[p.Key] = append(at[p.Key], p.Step)
	}
	everyStep(t, "the history's loss", at["loss"], run)
	for key, list := range at {
		slices.Sort(list)
		if len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%s has steps twice: %v", key, list)
		}
	}
}

// tracked wants MLflow to show every step once.
func (c *cluster) tracked(t *testing.T, run events.Run) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "mlruns", "*", "*", "metrics", "loss"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range files {
		tag, err := os.ReadFile(filepath.Join(filepath.Dir(f), "..", "tags", "tunebus.run_id"))
		if err != nil || strings.TrimSpace(string(tag)) != run.ID {
			continue
		}
		found = true
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var at []int64
		for line := range strings.Lines(string(body)) {
			var stamp, step int64
			var value float64
			if _, err := fmt.Sscan(line, &stamp, &value, &step); err != nil {
				t.Fatalf("%s: %q: %v", f, line, err)
			}
			at = append(at, step)
		}
		everyStep(t, "MLflow's loss", at, run)
	}
	if !found {
		t.Errorf("no run of %s in %v", run.ID, files)
	}
}

func everyStep(t *testing.T, what string, at []int64, run events.Run) {
	t.Helper()
	var want []int64
	for i := range perEpoch * run.Accepted.Specification.FineTuner.Epochs {
		want = append(want, int64(i)+1)
	}
	slices.Sort(at)
	if !slices.Equal(at, want) {
		t.Errorf("%s is at steps %v, want each of %d once", what, at, len(want))
	}
}

// clean wants that nothing is left over but what completed runs refer to,
// also of processes that were killed, and that all jobs are settled.
func (c *cluster) clean(t *testing.T, runs ...events.Run) {
	t.Helper()
	needed := map[string]bool{}
	for _, run := range runs {
		for _, p := range run.Phases {
			for _, a := range p.Completed.Artifacts {
				needed[a.Reference.Key] = true
			}
		}
	}
	processes.Eventually(t, 30*time.Second, "nothing is left over", func() error {
		var left []string
		for o, err := range c.store.List(t.Context(), "") {
			if err != nil {
				return err
			}
			if !needed[o.Key] {
				left = append(left, o.Key)
			}
		}
		for _, pattern := range []string{"tunebus-*", "artifacts/.partial/*", ".fetch-*"} {
			found, err := filepath.Glob(filepath.Join(c.dir, pattern))
			if err != nil {
				return err
			}
			left = append(left, found...)
		}
		for _, run := range runs {
			for p := range run.Phases {
				if cp, err := checkpoint.New(c.bus).Load(t.Context(), run.ID, p); err == nil {
					left = append(left, fmt.Sprintf("checkpoint %+v", cp))
				}
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%d things are: %v", len(left), left)
		}
		return nil
	})
}
