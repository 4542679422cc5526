package runcmd_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// newJudge speaks OpenAI's API as far as accuracy and similarity need it, and
// notes the keys that it was shown.
func newJudge(t *testing.T) (url string, keys func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Get("Authorization"))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/embeddings") {
			var req struct{ Input []string }
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
				t.Error(err)
			}
			var data []map[string]any
			for i := range req.Input {
				data = append(data, map[string]any{"index": i, "embedding": []float64{1, 0}})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]any{"prompt_tokens": 5}})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"choices": []map[string]any{{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": `{"rating": 4}`}}},
			"usage":   map[string]any{"prompt_tokens": 100, "completion_tokens": 10},
		})
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// answers writes a file of predictions.
func answers(t *testing.T, dir, name string, right bool) string {
	t.Helper()
	var b strings.Builder
	for i := range 10 {
		answer := fmt.Sprintf("The answer is %d.", i)
		if !right {
			answer = "I do not know."
		}
		fmt.Fprintf(&b, `{"index":%d,"question":"What is %d?","ground_truth":"The answer is %d.","answer":%q}`+"\n", i, i, i, answer)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// evaluationOnly are the arguments of a run that evaluates files of answers.
func evaluationOnly(t *testing.T, dir string, more ...string) []string {
	t.Helper()
	args := append([]string{"run", "--json", "--skip-finetuning", "--skip-inference",
		"--predictions", answers(t, dir, "p.jsonl", true), "--baseline-predictions", answers(t, dir, "b.jsonl", false)}, clitest.Folders(dir)...)
	return append(args, more...)
}

// TestPredictionsInsteadOfInference evaluates answers that somebody else made.
func TestPredictionsInsteadOfInference(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, out, screen := clitest.Run(t, evaluationOnly(t, dir, "--set", "evaluator.metrics=exact_match,rouge_score")...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	if got.Scores["exact_match"] != 1 || got.Baseline["exact_match"] != 0 {
		t.Errorf("scores %v, of the base model %v", got.Scores, got.Baseline)
	}
	clitest.InWorkbook(t, got.Links["evaluator_output_detailed.xlsx"], 10, got.Scores)
	if _, err := os.Stat(filepath.Join(dir, "reports", got.RunID, "evaluator_output_summary.json")); err != nil {
		t.Error(err)
	}
	metas, err := filepath.Glob(filepath.Join(dir, "mlruns", "*", "*", "meta.yaml"))
	if err != nil || len(metas) != 2 {
		t.Errorf("MLflow runs %v, want a parent and the evaluation (%v)", metas, err)
	}
}

func TestPredictionsThatAreMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, _, screen := clitest.Run(t, append([]string{"run", "--skip-finetuning", "--skip-inference", "--predictions", dir + "/none.jsonl"}, clitest.Folders(dir)...)...)
	if status != 2 || !strings.Contains(screen, "--predictions") || !strings.Contains(screen, "no such file") {
		t.Errorf("status %d\n%s", status, screen)
	}
	status, _, screen = clitest.Run(t, append([]string{"run", "--skip-finetuning", "--skip-inference"}, clitest.Folders(dir)...)...)
	if status != 2 || !strings.Contains(screen, "inputs.predictions") {
		t.Errorf("evaluation of nothing: status %d\n%s", status, screen)
	}
}

// TestJudge: the judged metrics have scores, the judge gets its own key, and
// nothing else does.
func TestJudge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url, seen := newJudge(t)
	config := filepath.Join(dir, "judged.toml")
	body := fmt.Sprintf("[evaluator]\nmetrics = [\"exact_match\", \"answer_accuracy\", \"semantic_similarity\"]\n[services.evaluation]\njudge_base_url = %q\n", url+"/v1")
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "sk-of-the-judge"
	status, out, screen := clitest.Run(t, evaluationOnly(t, dir, "--config", config, "--openai-key", key)...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	for _, name := range []string{"exact_match", "answer_accuracy", "semantic_similarity"} {
		if v, ok := got.Scores[name]; !ok || v != 1 {
			t.Errorf("%s: %v, %t", name, v, ok)
		}
	}
	if len(seen()) == 0 {
		t.Error("nobody asked the judge")
	}
	for _, k := range seen() {
		if k != "Bearer "+key {
			t.Errorf("the judge was shown %q", k)
		}
	}
	nowhere(t, key, out+screen, dir)
}

// nowhere wants a secret neither in a text nor in any file of a folder.
func nowhere(t *testing.T, secret, text, dir string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Error("the secret is on the screen")
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if strings.Contains(string(body), secret) {
			t.Errorf("the secret is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestJudgeWithoutAKey: the judged metrics have no score and a note says why;
// the run succeeds.
func TestJudgeWithoutAKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, out, screen := clitest.Run(t, evaluationOnly(t, dir, "--set", "evaluator.metrics=exact_match,factual_correctness")...)
	got := clitest.ReadSummary(t, out)
	if _, ok := got.Scores["factual_correctness"]; status != 0 || ok || got.Scores["exact_match"] != 1 || !strings.Contains(screen, "OPENAI_API_KEY") {
		t.Errorf("status %d, scores %v\n%s", status, got.Scores, screen)
	}
}

func TestSubmitSendsNoKeys(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--hf-key", "--openai-key", "--mlflow-username", "--mlflow-password"} {
		status, out, screen := clitest.Run(t, "submit", "--config", clitest.Quickstart(), flag, "s3cret")
		if status != 2 || !strings.Contains(screen, "submit sends no keys") || strings.Contains(out+screen, "s3cret") {
			t.Errorf("%s: status %d\n%s%s", flag, status, out, screen)
		}
	}
}

// TestMLflowOutOfReachCostsNothing: the run ends as it ends; one warning names
// what is pending, and what sends it later.
func TestMLflowOutOfReachCostsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := evaluationOnly(t, dir, "--set", "evaluator.metrics=exact_match", "--tracking-timeout", "1ns", "--mlflow-password", "s3cret", "--mlflow-username", "ann")
	for i, a := range args {
		if a == "--tracking-uri" {
			args[i+1] = "http://127.0.0.1:9"
		}
	}
	status, out, screen := clitest.Run(t, args...)
	got := clitest.ReadSummary(t, out)
	if status != 0 || got.Status != "success" || !got.Pending || strings.Count(screen, "tracking is pending: http://127.0.0.1:9") != 1 || !strings.Contains(screen, "tunebus replay tracking --run "+got.RunID) {
		t.Errorf("status %d, %+v\n%s", status, got, screen)
	}
	nowhere(t, "s3cret", out+screen, dir)
	// The reports do not wait for MLflow, and the run waits for its reports.
	for _, name := range []string{"pipeline_summary.json", "evaluator_output_detailed.xlsx"} {
		if _, err := os.Stat(filepath.Join(dir, "reports", got.RunID, name)); err != nil {
			t.Error(err)
		}
	}
}
