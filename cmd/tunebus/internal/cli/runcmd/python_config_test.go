package runcmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// original is the usual file of the original Python pipeline.
const original = "testdata/original.toml"

func TestOriginalFileIsAccepted(t *testing.T) {
	t.Parallel()
	if status, _, screen := clitest.Run(t, "config", "check", original); status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestOriginalFileSaysWhatIsMissing: on a machine without the Hub, a key and
// MLflow, everything that is missing is said before the first step.
func TestOriginalFileSaysWhatIsMissing(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:9")
	t.Setenv("OPENAI_API_KEY", "")
	dir := t.TempDir()
	status, out, screen := clitest.Run(t, "run", "--config", original, "--data", dir+"/data", "--reports", dir+"/reports", "--relaxed-sync")
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

// TestOriginalFileWithLocalPaths: with nothing but the ids replaced it runs to
// the end; judged metrics have no score and say why, tracking is pending.
func TestOriginalFileWithLocalPaths(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:9")
	t.Setenv("OPENAI_API_KEY", "")
	dir := t.TempDir()
	quick := filepath.Join(clitest.Root(), "configs", "quickstart")
	few := strings.Split(clitest.Text(t, quick+"/validation.jsonl"), "\n")[:clitest.SmallRows]
	clitest.Write(t, dir, "rows.jsonl", strings.Join(few, "\n"))
	status, out, screen := clitest.Run(t, "run", "--json", "--config", original, "--data", dir+"/data", "--reports", dir+"/reports", "--relaxed-sync", "--tracking-timeout", "1s",
		"--set", "fine_tuner.base_model_id="+quick+"/base-model", "--set", "fine_tuner.training_data_id="+dir+"/rows.jsonl", "--set", "inferencer.testing_data_id="+dir+"/rows.jsonl")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	if got.Status != "success" || !got.Pending {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"bleu_score", "rouge_score"} {
		if _, ok := got.Scores[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	for _, want := range []string{"metric factual_correctness has no score", "metric semantic_similarity has no score", "tracking is pending", "use_flash_attention"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
}

// TestOriginalFileSubmitted: services that stay up take it too. The tracking
// server that it names is not theirs, so nothing is sent there, and the run
// says so.
func TestOriginalFileSubmitted(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	rows := filepath.Join(services.Dir, "rows.jsonl")
	status, out, screen := clitest.Run(t, "submit", "--json", "--wait=tracked", "--server", services.URL, "--artifacts", "file://"+services.Dir+"/data/artifacts", "--config", original,
		"--set", "fine_tuner.base_model_id="+filepath.Join(services.Dir, "base-model"), "--set", "fine_tuner.training_data_id="+rows, "--set", "inferencer.testing_data_id="+rows,
		"--set", "inferencer.max_new_tokens=8")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	facts, _ := clitest.FactTypes(t, services.Bus, got.RunID)
	const pushed = "published.completed " // nothing is, for lack of a token, and a fact says so
	if got.Status != "success" || strings.Count(facts, pushed) != 3 || strings.ReplaceAll(facts, pushed, "") != clitest.FactsBegin+clitest.FactsFinetune+clitest.FactsInference+clitest.FactsEvaluation+clitest.FactsEnd {
		t.Errorf("%+v\n%s", got, facts)
	}
	if !strings.Contains(out, "http://127.0.0.1:9 is not among the tracking servers") {
		t.Errorf("nothing is said of the tracking server:\n%s", out)
	}
}
