package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
)

// saveSteps and perEpoch are the numbers of steps in [long].
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

// embedder is a judge that embeds texts after a delay, and records its requests.
type embedder struct {
	delay time.Duration

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
	case <-time.After(e.delay): // as long as a model takes
	case <-r.Context().Done():
	}
	var data []map[string]any
	for i, text := range req.Input {
		data = append(data, map[string]any{"index": i, "embedding": []float64{1, float64(len(text) % 7)}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]any{"prompt_tokens": 5}}) // the client may have been killed
}

// since counts the requests about a run from a time on.
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

// TestKilledWorkers: the workers of a run are killed in every phase, three of them
// during fine-tuning. Each time another worker takes the job over in time and repeats
// no more than the steps after the last checkpoint. The results are those of an
// undisturbed run.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	judge := &embedder{delay: 50 * time.Millisecond, asked: map[string][]time.Time{}}
	server := httptest.NewServer(judge)
	t.Cleanup(server.Close)
	c := newRecordingDeployment(t, "TUNEBUS_SERVICES_EVALUATION_JUDGE_BASE_URL="+server.URL)
	for _, program := range []string{processes.Finetune, processes.Inference, processes.Evaluation} {
		for range 3 { // one for each run, and one in reserve
			var slow []string
			if program == processes.Inference { // so that it can be killed in the middle
				slow = []string{"TUNEBUS_SERVICES_KERNELS=plain"}
			}
			c.startWorker(t, program, slow...)
		}
	}
	for _, id := range []string{"killed", "undisturbed"} {
		c.publishRequest(t, id, long(15, server.URL+"/"+id, false))
	}
	killed := map[int]bool{}
	for _, step := range []int64{8, 16, 29} {
		killed[c.killOwner(t, "killed", events.Finetune, step)] = true
		c.startWorker(t, processes.Finetune)
	}
	// The next worker is stopped by a signal, and loses no step.
	_, stopped := c.owner(t, "killed", events.Finetune, 33)
	stopped.Stop(t)
	c.killOwner(t, "killed", events.Inference, 24)
	c.killOwner(t, "killed", events.Evaluation, 24)
	killedRun, undisturbed := c.ended(t, "killed"), c.ended(t, "undisturbed")

	c.wantResumes(t, killedRun, killed)
	const rows = 128
	attempts := killedRun.Phases[events.Evaluation].Attempts
	had := attempts[len(attempts)-1].Started.ResumedFrom
	asked := judge.since("killed", c.waitForAttempt(t, "killed", events.Evaluation, len(attempts)))
	if all := judge.since("undisturbed", time.Time{}); all%rows != 0 || asked != all/rows*int(rows-had) {
		t.Errorf("the judge was asked %d times about the %d rows that had no score yet, %d times about all %d rows undisturbed", asked, rows-had, all, rows)
	}
	for p, names := range map[events.Phase][]string{
		events.Finetune: {events.ArtifactModel}, events.Inference: {events.ArtifactPredictions}, events.Evaluation: {"scores"},
	} {
		for _, name := range names {
			a, okA := undisturbed.Phases[p].Completed.Artifact(name)
			b, okB := killedRun.Phases[p].Completed.Artifact(name)
			if !okA || !okB || a.SHA256 != b.SHA256 {
				t.Errorf("%s: undisturbed %s, killed %s", name, a.SHA256, b.SHA256)
			}
		}
	}
	c.wantCompleteHistory(t, killedRun)
	c.wantCompleteMLflow(t, killedRun)
	c.wantNothingLeft(t, undisturbed, killedRun)
}

// wantResumes wants every attempt to resume from the newest checkpoint: it repeats at
// most save_steps steps of the attempt before after a kill, and none after a shutdown.
func (c *recordingDeployment) wantResumes(t *testing.T, run events.Run, killed map[int]bool) {
	t.Helper()
	shutdowns := 0
	for p, state := range run.Phases {
		for i, a := range state.Attempts[1:] {
			before, from := state.Attempts[i], a.Started.ResumedFrom
			progress := c.progressOf(run.ID, p, before.Number)
			done := progress[len(progress)-1].Step
			t.Logf("%s: attempt %d was at step %d, %d resumes from %d", p, before.Number, done, a.Number, from)
			steps := c.progressOf(run.ID, p, a.Number)
			// The end of a wait is no step, and the loss of the validation set belongs to
			// the last step of an epoch, before which the attempt may have ended.
			ofStep := func(p events.Point) bool { return p.Key != "eval_loss" }
			if i := slices.IndexFunc(steps, func(h received) bool { return slices.ContainsFunc(h.Points, ofStep) }); p != events.Evaluation && i >= 0 && steps[i].Step <= from {
				t.Errorf("%s: attempt %d resumes from %d, and begins with step %d", p, a.Number, from, steps[i].Step)
			}
			switch {
			case before.Ended != nil && before.Ended.Reason == events.EndShutdown:
				shutdowns++
				if before.Ended.LastStep != from {
					t.Errorf("%s: attempt %d was stopped at step %d, %d resumes from %d", p, before.Number, before.Ended.LastStep, a.Number, from)
				}
			case p == events.Finetune && before.Ended == nil && (!killed[before.Number] || done-from > saveSteps || from%saveSteps != 0):
				t.Errorf("%s: attempt %d has no end and was at step %d, %d resumes from %d", p, before.Number, done, a.Number, from)
			case from == 0:
				t.Errorf("%s: attempt %d starts over", p, a.Number)
			}
		}
	}
	if n := run.Phases[events.Finetune].Crashes(); n != 3 || shutdowns != 1 {
		t.Errorf("%d crashes and %d shutdowns, want 3 and 1", n, shutdowns)
	}
}

// wantCompleteHistory wants the metric history to have every step once.
func (c *recordingDeployment) wantCompleteHistory(t *testing.T, run events.Run) {
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

// wantCompleteMLflow wants MLflow to have every step once.
func (c *recordingDeployment) wantCompleteMLflow(t *testing.T, run events.Run) {
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

// wantNothingLeft wants that the store holds the artifacts of the completed phases
// and nothing else, and that no temporary file and no checkpoint is left, also of
// killed processes.
func (c *recordingDeployment) wantNothingLeft(t *testing.T, runs ...events.Run) {
	t.Helper()
	needed := map[string]bool{}
	for _, run := range runs {
		for _, p := range run.Phases {
			for _, a := range p.Completed.Artifacts {
				needed[a.Reference.Key] = true
				if manifest.Is(a.Reference) {
					needed[manifest.Prefix(a.Reference)] = true
				}
			}
		}
	}
	processes.Eventually(t, 30*time.Second, "nothing is left over", func() error {
		var left []string
		for o, err := range c.store.List(t.Context(), "") {
			if err != nil {
				return err
			}
			if strings.HasPrefix(o.Key, "users/") { // who has artifacts there
				continue
			}
			if !needed[o.Key] && !needed[path.Dir(o.Key)+"/"] { // a file of a folder
				left = append(left, o.Key)
			}
		}
		for _, pattern := range []string{"tunebus-scratch-*", "artifacts/.partial/*", ".fetch-*"} {
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
			return fmt.Errorf("%d are left: %v", len(left), left)
		}
		return nil
	})
}
