//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// What a comparison has to have, or else it says nothing.
const (
	minRows      = 40
	minDifferent = 20 // answers
	minChanged   = 10 // answers that differ from the base model's
)

// interpreter is the one of the environment of the tests.
func interpreter(t *testing.T) string {
	t.Helper()
	path := os.Getenv("INTEROP_PYTHON")
	if path == "" {
		t.Fatal("INTEROP_PYTHON names no interpreter; use make test-interop")
	}
	return path
}

// python runs a script of testdata in the environment of the tests, from a
// folder that is not that of the data.
func python(t *testing.T, script string, job any, result any) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), interpreter(t), path)
	c.Dir = t.TempDir()
	c.Stdin = bytes.NewReader(in)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, problems.String())
	}
	// Libraries may print lines of their own before the result.
	body := out.Bytes()
	if i := bytes.LastIndexByte(bytes.TrimRight(body, "\n"), '\n'); i >= 0 {
		body = body[i+1:]
	}
	if err := json.Unmarshal(body, result); err != nil {
		t.Fatalf("%s: %v\n%.2000s", script, err, out.String())
	}
}

// answered is a row of the answers of a run.
type answered struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// readAnswers reads every second answer of a run.
func readAnswers(t *testing.T, path string) []answered {
	t.Helper()
	var all []answered
	for line := range strings.Lines(clitest.Text(t, path)) {
		var row answered
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	var half []answered // neighbours ask the same in other words
	for i := 0; i < len(all); i += 2 {
		half = append(half, all[i])
	}
	return half
}

// specification tunes the quickstart's model with little data of its own.
const specification = `[fine_tuner]
base_model_id = "base"
training_data_id = "train.jsonl"
max_sequence_length = 128
device_train_batch_size = 8
grad_accumulation = 1
learning_rate = 0.003
epochs = 3
rank = 16
lora_alpha = 32
save_steps = 0
dtype = "float32"
[inferencer]
testing_data_id = "test.jsonl"
baseline = true
temperature = 0.0
max_new_tokens = 32
[evaluator]
metrics = ["exact_match"]
`

// TestModelsAnswerThereAsHere: greedy answers are equal, token by token, for
// an adapter, a merged one and a whole model, loaded by transformers and PEFT
// from another working folder, and by mlflow.transformers from a folder of MLflow
// and from a server. One run is tracked in the folder and then rebuilt on the
// server, the other the other way round.
func TestModelsAnswerThereAsHere(t *testing.T) {
	dir := t.TempDir()
	quick := filepath.Join(clitest.Root(), "configs", "quickstart")
	for name, from := range map[string]string{"base": "base-model", "train.jsonl": "train.jsonl", "test.jsonl": "test.jsonl"} {
		if err := os.Symlink(filepath.Join(quick, from), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	clitest.Write(t, dir, "run.toml", specification)
	server, folder := startMLflow(t), "file:"+filepath.Join(dir, "mlruns")
	for run, set := range map[string]string{"lora": "fine_tuner.rank=16", "full": "fine_tuner.full_finetuning=true"} {
		t.Run(run, func(t *testing.T) {
			data := filepath.Join(dir, run)
			place := []string{"--data", data, "--reports", data + "/reports", "--tracking-uri"}
			first, second := folder, server
			args := []string{"run", "--config", dir + "/run.toml", "--run-id", run, "--set", set, "--relaxed-sync"}
			if run == "full" {
				first, second = server, folder
				args = append(args, "--set", "fine_tuner.learning_rate=0.001")
			}
			if status, out, screen := clitest.Run(t, slices.Concat(args, place, []string{first})...); status != 0 {
				t.Fatalf("%s: status %d\n%s%s", run, status, out, screen)
			}
			if status, out, screen := clitest.Run(t, slices.Concat([]string{"replay", "tracking"}, place, []string{second})...); status != 0 {
				t.Fatalf("%s in the other store: status %d\n%s%s", run, status, out, screen)
			}
			answers := readAnswers(t, filepath.Join(data, "artifacts/runs", run, "inference/1/inferencer_output.jsonl"))
			base := readAnswers(t, filepath.Join(data, "artifacts/runs", run, "inference/1/inferencer_baseline_output.jsonl"))
			checkTelling(t, run, answers, base)
			models := []map[string]string{
				{"name": "MLflow's folder", "mlflow": strings.Replace(folder, "file:", "file://", 1), "run": run},
				{"name": "MLflow's server", "mlflow": server, "run": run},
			}
			kinds := map[string][]string{"whole model": nil}
			if run == "lora" {
				kinds = map[string][]string{"adapter": nil, "adapter and base": {"--with-base"}, "merged": {"--merge", "--dtype", "float32"}}
			}
			for kind, flags := range kinds {
				to := filepath.Join(dir, run+"-"+kind)
				if status, _, screen := clitest.Run(t, append([]string{"export", run, to, "--data", data}, flags...)...); status != 0 {
					t.Fatalf("%s: status %d\n%s", run, status, screen)
				}
				models = append(models, map[string]string{"name": kind, "folder": to})
			}
			var questions []string
			for _, a := range answers {
				questions = append(questions, a.Question)
			}
			said := map[string][]string{}
			python(t, "answer.py", map[string]any{"questions": questions, "max_new_tokens": 32, "models": models}, &said)
			for _, m := range models {
				equal := 0
				for i, a := range answers {
					if got := said[m["name"]]; i < len(got) && got[i] == a.Answer {
						equal++
					} else if i < len(got) {
						t.Errorf("%s, %s: %q: %q there, %q here", run, m["name"], a.Question, got[i], a.Answer)
					}
				}
				t.Logf("%s, %s: %d of %d answers are equal", run, m["name"], equal, len(answers))
				if equal != len(answers) {
					t.Errorf("%s, %s: %d of %d answers are equal", run, m["name"], equal, len(answers))
				}
			}
		})
	}
	if got := runsummary.ExportCommand(events.Run{ID: "lora"}); got != "tunebus export lora lora" {
		t.Errorf("the reports name %q", got)
	}
}

// checkTelling fails a comparison that would hold for almost any model.
func checkTelling(t *testing.T, run string, answers, base []answered) {
	t.Helper()
	different, changed := map[string]bool{}, 0
	for i, a := range answers {
		different[a.Answer] = true
		if i < len(base) && base[i].Answer != a.Answer {
			changed++
		}
	}
	t.Logf("%s: %d rows, %d different answers, %d differ from the base model's", run, len(answers), len(different), changed)
	if len(answers) < minRows || len(different) < minDifferent || changed < minChanged {
		t.Fatalf("%s: the comparison says nothing: %d rows of at least %d, %d different answers of at least %d, %d that differ from the base model's of at least %d",
			run, len(answers), minRows, len(different), minDifferent, changed, minChanged)
	}
}
