package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReferenceIsCommittedAndUsable(t *testing.T) {
	t.Parallel()
	status, doc, screen := tunebus(t, "config", "doc")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	const file = "../../../../configs/seed.toml"
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != doc {
		t.Error("configs/seed.toml is not what \"tunebus config doc\" prints")
	}
	status, _, screen = tunebus(t, "config", "check", file, "--set", "fine_tuner.base_model_id=a/b", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d")
	if status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
}

func TestConfigInitKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my.toml")
	if status, _, screen := tunebus(t, "config", "init", file); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if status, _, _ := tunebus(t, "config", "init", file); status != 2 {
		t.Errorf("a second init ended with status %d", status)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("TUNEBUS_TEST_MODEL", "owner/model")
	t.Setenv("TUNEBUS_TEST_TOKEN", "hush")
	args := []string{"config", "check", "--json", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d"}
	status, out, screen := tunebus(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_MODEL}")...)
	if status != 0 || !strings.Contains(out, "owner/model") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	status, out, screen = tunebus(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_TOKEN}")...)
	if status != 2 || strings.Contains(out+screen, "hush") {
		t.Errorf("a secret went through: status %d\n%s%s", status, out, screen)
	}
}

// TestVariablesEverywhere: variables are expanded wherever a text may stand,
// and no detour brings a secret into a specification.
func TestVariablesEverywhere(t *testing.T) {
	t.Setenv("TUNEBUS_TEST_SECRET", "hush-hush-hush")
	t.Setenv("ALIAS", "x-hush-hush-hush-x")
	t.Setenv("NESTED", "${TUNEBUS_TEST_SECRET}")
	t.Setenv("METRIC", "rouge_score")
	const ids = "[fine_tuner]\nbase_model_id = \"a/b\"\ntraining_data_id = \"a/c\"\n[inferencer]\ntesting_data_id = \"a/d\"\n"
	check := func(body string) (int, string, string) {
		file := filepath.Join(t.TempDir(), "v.toml")
		if err := os.WriteFile(file, []byte(ids+body), 0o600); err != nil {
			t.Fatal(err)
		}
		return tunebus(t, "config", "check", "--json", file)
	}
	if status, out, screen := check("run_name = \"${METRIC}-${METRIC}\"\n[evaluator]\nmetrics = [\"chrf\", \"${METRIC}\"]"); status != 0 ||
		!strings.Contains(out, "rouge_score-rouge_score") || strings.Contains(out, "${") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	for text, want := range map[string]string{
		"${TUNEBUS_TEST_SECRET}": "TUNEBUS_TEST_SECRET holds a secret",
		"${ALIAS}":               "ALIAS holds a secret",
		"${NESTED}":              "NESTED holds a",
		"${NOT_THERE}":           "no variable NOT_THERE",
		"${1X}":                  "begins the name of a variable",
		"${METRIC":               "begins the name of a variable",
	} {
		for _, body := range []string{"run_name = \"" + text + "\"", "[evaluator]\nmetrics = [\"chrf\", \"" + text + "\"]"} {
			status, out, screen := check(body)
			if status != 2 || !strings.Contains(screen, want) || !strings.Contains(screen, "v.toml:") || strings.Contains(out+screen, "hush-") {
				t.Errorf("%s: status %d\n%s%s", body, status, out, screen)
			}
		}
	}
}

// TestFaultsOfAllKindsAtOnce: what is wrong in a specification, in settings of
// the same file, and beside them comes at once, by place and once each.
func TestFaultsOfAllKindsAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "both.toml")
	body := `[services.finetune]
slots = 0
[fine_tuner]
epochs = 0
base_model_id = "nowhere/to/be/found"
training_data_id = "owner/data"
[srvices]
log_level = "info"
[bus]
ulr = "nats://x"
`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, screen := tunebus(t, "config", "check", file, "--skip-inference", "--skip-evaluation")
	at := -1
	for _, want := range []string{
		"both.toml:2:1: services.finetune.slots = 0: too small", "both.toml:4:1: fine_tuner.epochs = 0: too small",
		`both.toml:7:2: srvices: unknown section; did you mean "services"?`, `both.toml:10:1: bus.ulr: unknown key; did you mean "url"?`,
	} {
		next := strings.Index(screen, want)
		if status != 2 || next <= at || strings.Count(screen, want) != 1 {
			t.Errorf("status %d, no %q in its place:\n%s", status, want, screen)
		}
		at = next
	}
	status, _, screen = tunebus(t, "run", "--config", file, "--label", "x", "--stop-after-finetuning")
	for _, want := range []string{"fine_tuner.epochs = 0", "srvices", "base_model_id = nowhere/to/be/found", "--label = x"} {
		if status != 2 || !strings.Contains(screen, want) {
			t.Errorf("run: status %d, no %q:\n%s", status, want, screen)
		}
	}
	if err := os.WriteFile(file, []byte("[fine_tuner]\nepochs = = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, screen = tunebus(t, "config", "check", file)
	if status != 2 || !strings.Contains(screen, "both.toml:2:10: syntax") || strings.Contains(screen, "missing") {
		t.Errorf("a fault of the syntax: status %d\n%s", status, screen)
	}
}

// TestSecretsAreNotSubmitted: a secret that a person wrote into a specification
// or a label by some detour, such as the shell's own variables, goes nowhere.
func TestSecretsAreNotSubmitted(t *testing.T) {
	const secret = "hush-hush-hush"
	t.Setenv("HF_TOKEN", secret)
	dir := t.TempDir()
	file := filepath.Join(dir, "tunebus.toml")
	if err := os.WriteFile(file, []byte("[credentials]\nopenai_key = \""+secret+"-too\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"mlflow.run_name: holds the secret credentials.huggingface_token": {"--set", "mlflow.run_name=by-" + secret},
		"evaluator.llm: holds the secret credentials.openai_key":          {"--set", "evaluator.llm=" + secret + "-too", "--settings", file},
		"--label who: holds the secret credentials.huggingface_token":     {"--label", "who=" + secret},
	} {
		for _, command := range []string{"run", "submit"} {
			all := append([]string{command, "--config", quickstart}, args...)
			if command == "run" {
				all = append(all, folders(t.TempDir())...)
			}
			status, out, screen := tunebus(t, all...)
			if status != 2 || !strings.Contains(screen, want) || strings.Contains(out+screen, secret) {
				t.Errorf("%s: status %d, no %q\n%s%s", command, status, want, out, screen)
			}
		}
	}
	status, _, screen := tunebus(t, append([]string{"run", "--config", quickstart, "--openai-key", secret, "--set", "evaluator.llm=" + secret}, folders(dir)...)...)
	if status != 2 || !strings.Contains(screen, "holds the secret credentials.openai_key") {
		t.Errorf("a key as a flag: status %d\n%s", status, screen)
	}
	for _, command := range [][]string{{"rerun", "01ABC"}, {"replay", "requests", "--from-seq", "1"}} {
		status, _, screen = tunebus(t, append(command, "--set", "mlflow.run_name="+secret)...)
		if status != 2 || !strings.Contains(screen, "--set: holds the secret") || strings.Contains(screen, secret) {
			t.Errorf("%v: status %d\n%s", command, status, screen)
		}
	}
}
