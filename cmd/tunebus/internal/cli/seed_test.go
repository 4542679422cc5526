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
	few := strings.Split(text(t, quick+"/validation.jsonl"), "\n")[:rowsOfSmall]
	desk{dir: dir}.write(t, "rows.jsonl", strings.Join(few, "\n"))
	status, out, screen := tunebus(t, "run", "--json", "--config", usual, "--data", dir+"/data", "--reports", dir+"/reports", "--relaxed-sync", "--tracking-timeout", "1s",
		"--set", "fine_tuner.base_model_id="+quick+"/base-model", "--set", "fine_tuner.training_data_id="+dir+"/rows.jsonl", "--set", "inferencer.testing_data_id="+dir+"/rows.jsonl")
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

// TestUsualFileSubmitted: services that stay up take it too. The tracking
// server that it names is not theirs, so nothing is sent there, and the run
// says so.
func TestUsualFileSubmitted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	rows := filepath.Join(d.dir, "rows.jsonl")
	status, out, screen := tunebus(t, "submit", "--json", "--wait=tracked", "--server", d.url, "--artifacts", "file://"+d.dir+"/data/artifacts", "--config", usual,
		"--set", "fine_tuner.base_model_id="+filepath.Join(d.dir, "base-model"), "--set", "fine_tuner.training_data_id="+rows, "--set", "inferencer.testing_data_id="+rows,
		"--set", "inferencer.max_new_tokens=8")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := summaryOf(t, out)
	story, _ := facts(t, d.bus, got.RunID)
	if got.Status != "success" || story != began+trained+answered+scored+over {
		t.Errorf("%+v\n%s", got, story)
	}
	if !strings.Contains(out, "http://127.0.0.1:9 is not among the tracking servers") {
		t.Errorf("nothing is said of the tracking server:\n%s", out)
	}
}
