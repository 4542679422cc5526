package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
)

const usual = "testdata/seed.toml"

func TestUsualFileIsAccepted(t *testing.T) {
	t.Parallel()
	if status, _, screen := tunebus(t, "config", "check", usual); status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestUsualFileSaysWhatIsMissing: on a machine without the Hub, a key and
// MLflow, everything that is missing is said before the first step.
func TestUsualFileSaysWhatIsMissing(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:9")
	t.Setenv("OPENAI_API_KEY", "")
	dir := t.TempDir()
	status, out, screen := tunebus(t, "run", "--config", usual, "--data", dir+"/data", "--reports", dir+"/reports", "--relaxed-sync")
	if status != 1 || out != "" {
		t.Errorf("status %d, out %q", status, out)
	}
	for _, want := range []string{
		"fine_tuner.base_model_id: ", "fine_tuner.training_data_id: ", "inferencer.testing_data_id: ", "--set fine_tuner.base_model_id=PATH",
		"evaluator.metrics: ", "OPENAI_API_KEY", "mlflow.tracking_uri: http://127.0.0.1:9 does not answer", "file:./mlruns",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "started") {
		t.Error("a phase started")
	}
}

// TestUsualFileWithLocalPaths: with nothing but the ids replaced it runs to
// the end; judged metrics have no score and say why, tracking is pending.
func TestUsualFileWithLocalPaths(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:9")
	t.Setenv("OPENAI_API_KEY", "")
	dir := t.TempDir()
	quick, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	status, out, screen := tunebus(t, "run", "--json", "--config", usual, "--data", dir+"/data", "--reports", dir+"/reports", "--relaxed-sync", "--tracking-timeout", "1s",
		"--set", "fine_tuner.base_model_id="+quick+"/base-model", "--set", "fine_tuner.training_data_id="+quick+"/validation.jsonl", "--set", "inferencer.testing_data_id="+quick+"/validation.jsonl")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := summaryOf(t, out)
	if got.Status != "success" || !got.Pending {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"bleu_score", "rouge_score"} {
		if _, ok := got.Scores[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	for _, want := range []string{"metric factual_correctness has no score", "metric semantic_similarity has no score", "tracking is pending", "paged_adamw_8bit", "load_in_4bit"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
}
