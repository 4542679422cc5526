package runcmd_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// TestRunIDThatIsTaken: the request is rejected, and nobody takes the run that
// is there for the one that was asked for.
func TestRunIDThatIsTaken(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	evaluate := []string{"--run-id", "mine", "--skip-finetuning", "--skip-inference", "--predictions", filepath.Join(services.Dir, "answers.jsonl")}
	if status, got, screen := services.Submit(t, nil, append(evaluate, "--label", "team=blue", "--label", "why=a test")...); status != 0 || got.RunID != "mine" {
		t.Fatalf("status %d, %+v\n%s", status, got, screen)
	}
	for _, wait := range []string{"--wait", "--timeout=1m"} { // the second one does not wait for the run
		status, out, screen := clitest.Run(t, append([]string{
			"submit", wait, "--server", services.URL, "--artifacts", "file://" + services.Dir + "/data/artifacts", "--config", services.Dir + "/small.toml",
		}, evaluate...)...)
		if status != 2 || out != "" || !strings.Contains(screen, "the request was rejected") || !strings.Contains(screen, "run_id = mine") {
			t.Errorf("%s: status %d\n%s%s", wait, status, out, screen)
		}
	}
	gone := filepath.Join(services.Dir, "not-mounted")
	status, out, screen := clitest.Run(t, "submit", "--server", services.URL, "--artifacts", "file://"+gone, "--config", services.Dir+"/small.toml",
		"--skip-finetuning", "--skip-inference", "--predictions", filepath.Join(services.Dir, "answers.jsonl"))
	if _, err := os.Stat(gone); err == nil || status != 2 || out != "" || !strings.Contains(screen, "the server has runs already, whose artifacts lie elsewhere") {
		t.Errorf("a store that is not there: status %d, made: %v\n%s%s", status, err == nil, out, screen)
	}
	whole := clitest.Object[pipelinesummary.Summary](t, filepath.Join(services.Dir, "reports", "mine", report.PipelineSummaryName))
	if want := map[string]string{"team": "blue", "why": "a test"}; !maps.Equal(whole.Labels, want) {
		t.Errorf("labels %v, want %v", whole.Labels, want)
	}
	for _, args := range [][]string{{"show", "mine"}, {"watch", "mine"}} {
		if status, out, screen := clitest.Run(t, append(args, "--server", services.URL)...); status != 0 || !strings.Contains(out, "success in ") || !strings.Contains(out, "key_fact_accuracy") {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	status, out, _ = clitest.Run(t, "show", "mine", "--json", "--server", services.URL)
	var shown pipelinesummary.Summary
	if err := json.Unmarshal([]byte(out), &shown); err != nil || status != 0 || shown.Conclusion != events.Success || shown.Links["mlflow_pipeline"] == "" {
		t.Errorf("show --json: status %d, %v\n%s", status, err, out)
	}
	status, out, _ = clitest.Run(t, "cancel", "mine", "--json", "--server", services.URL)
	if status != 2 || !strings.Contains(out, `"cancel_requested": false`) || !strings.Contains(out, `"status": "success"`) {
		t.Errorf("cancel of an ended run: status %d\n%s", status, out)
	}
	for _, args := range [][]string{{"show", "nobody"}, {"watch", "nobody"}, {"watch", "no.token"}, {"cancel", "nobody"}, {"cancel", "no.token"}} {
		if status, out, screen := clitest.Run(t, append(args, "--server", services.URL)...); status != 2 || out != "" || !strings.Contains(screen, "is unknown on") {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	if facts, _ := clitest.FactTypes(t, services.Bus, "nobody"); facts != "" {
		t.Errorf("a run that is unknown has the facts %s", facts)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"--run-id = a.b: a run id has": {"--run-id", "a.b"},
		"--label = x: want name=value": {"--label", "x", "--run-id", "also bad"},
		"--wait=soon: want completed":  {"--wait=soon"},
	} {
		status, out, screen := clitest.Run(t, append([]string{"submit", "--config", clitest.Quickstart()}, args...)...)
		if status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
}

// TestPathsStartWhereTheyStand: a path in a file starts at the file's folder,
// one in a flag at the working folder.
func TestPathsStartWhereTheyStand(t *testing.T) {
	dir := t.TempDir()
	clitest.Write(t, dir, "one.toml", "[fine_tuner]\nbase_model_id = \"there\"\ntraining_data_id = \"rows.jsonl\"")
	clitest.Write(t, dir, "rows.jsonl", `{"question":"q","answer":"a"}`)
	t.Chdir(t.TempDir()) // where the file is not
	_, _, screen := clitest.Run(t, "run", "--stop-after-finetuning", "--config", dir+"/one.toml", "--set", "fine_tuner.validation_data_id=rows.jsonl")
	if !strings.Contains(screen, "("+dir+"/there)") || !strings.Contains(screen, "validation_data_id = rows.jsonl: no such file or folder, and no id") || strings.Contains(screen, "training_data_id") {
		t.Errorf("faults:\n%s", screen)
	}
}

// TestPipesAreRefused: a command reads no pipe and no device, which may never end
// and which no signal interrupts.
func TestPipesAreRefused(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"submit", "run"} {
		args := []string{verb, "--config", clitest.Quickstart(), "--set", "fine_tuner.training_data_id=" + os.DevNull}
		status, out, screen := clitest.Run(t, args...)
		if status != 2 || !strings.Contains(out+screen, "training_data_id = "+os.DevNull+": is a pipe, a socket or a device; write its content to a file") {
			t.Errorf("%s: status %d\n%s%s", verb, status, out, screen)
		}
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
			all := append([]string{command, "--config", clitest.Quickstart()}, args...)
			if command == "run" {
				all = append(all, clitest.Folders(t.TempDir())...)
			}
			status, out, screen := clitest.Run(t, all...)
			if status != 2 || !strings.Contains(screen, want) || strings.Contains(out+screen, secret) {
				t.Errorf("%s: status %d, no %q\n%s%s", command, status, want, out, screen)
			}
		}
	}
	status, _, screen := clitest.Run(t, append([]string{"run", "--config", clitest.Quickstart(), "--openai-key", secret, "--set", "evaluator.llm=" + secret}, clitest.Folders(dir)...)...)
	if status != 2 || !strings.Contains(screen, "holds the secret credentials.openai_key") {
		t.Errorf("a key as a flag: status %d\n%s", status, screen)
	}
	for _, command := range [][]string{{"rerun", "01ABC"}, {"replay", "requests", "--from-seq", "1"}} {
		status, _, screen = clitest.Run(t, append(command, "--set", "mlflow.run_name="+secret)...)
		if status != 2 || !strings.Contains(screen, "--set: holds the secret") || strings.Contains(screen, secret) {
			t.Errorf("%v: status %d\n%s", command, status, screen)
		}
	}
}

// TestHintAfterSubmit: what is to be typed after a run is the command with its files
// and flags, on the same server.
func TestHintAfterSubmit(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	clitest.Write(t, services.Dir, "more rows.jsonl", `{"question":"q","answer":"a"}`)
	file, rows := services.Dir+"/small.toml", services.Dir+"/more rows.jsonl"
	status, out, screen := clitest.Run(t, "submit", "--wait", "--server", services.URL, "--artifacts", services.Artifacts(),
		"--config", file, "--run-id", "r1", "--set", "fine_tuner.training_data_id="+rows, "--set", "fine_tuner.learning_rate=1e30", "--set", "fine_tuner.epochs=3", "--label", "a=b")
	want := "mend what the error names, then:\n    tunebus submit --config " + file + " --artifacts " + services.Artifacts() +
		" --label a=b --set 'fine_tuner.training_data_id=" + rows + "' --set fine_tuner.learning_rate=1e30 --set fine_tuner.epochs=3 --wait --server " + services.URL + "\n"
	if status != 3 || !strings.Contains(out, want) {
		t.Errorf("status %d, want %q, got\n%s%s", status, want, out, screen)
	}
}
