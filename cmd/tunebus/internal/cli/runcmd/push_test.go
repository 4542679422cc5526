package runcmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubtest"
)

// pushed is what a command says about pushes.
type pushed struct {
	RunID     string                      `json:"run_id"`
	Status    string                      `json:"status"`
	Published []events.PublishedCompleted `json:"published"`
	Pending   []events.Product            `json:"publishing_pending"`
}

// outcomes are what became of each product, as "model=pushed".
func (p pushed) outcomes() string {
	var out []string
	for _, one := range p.Published {
		out = append(out, string(one.What)+"="+string(one.Outcome))
	}
	return strings.Join(out, " ")
}

// pushArgs are a short run that asks for pushes.
func pushArgs(dir, id string, more ...string) []string {
	quick := filepath.Join(clitest.Root(), "configs", "quickstart")
	args := []string{
		"run", "--config", clitest.Quickstart(), "--run-id", id, "--set", "mlflow.run_name=my run!",
		"--set", "fine_tuner.push_to_hub=true", "--set", "fine_tuner.full_finetuning=false", "--set", "fine_tuner.training_data_id=" + filepath.Join(quick, "validation.jsonl"),
		"--set", "inferencer.testing_data_id=" + filepath.Join(quick, "validation.jsonl"), "--set", "fine_tuner.epochs=1",
		"--set", "fine_tuner.max_sequence_length=64", "--set", "fine_tuner.rank=2", "--set", "inferencer.max_new_tokens=2", "--set", "inferencer.baseline=false",
		"--set", "evaluator.gates={}",
	}
	return append(append(args, clitest.Folders(dir)...), more...)
}

func runPush(t *testing.T, args []string) (result pushed, status int, screen string) {
	t.Helper()
	status, out, screen := clitest.Run(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("status %d: %v\n%s%s", status, err, out, screen)
	}
	return result, status, screen
}

// TestPush: a run that asks for it has its model, answers and scores pushed, each to a
// private repository with a card; a repetition commits nothing.
func TestPush(t *testing.T) {
	hub := hubtest.New(t)
	t.Setenv("HF_ENDPOINT", hub.URL)
	dir := t.TempDir()
	got, status, screen := runPush(t, pushArgs(dir, "pushed", "--hf-key", hubtest.Token))
	if status != 0 || got.outcomes() != "model=pushed predictions=pushed results=pushed" || len(got.Pending) > 0 {
		t.Fatalf("status %d, %+v\n%s", status, got, screen)
	}
	if !strings.Contains(screen, "model      pushed to the Hub: "+hub.URL+"/someone/my-run") || strings.Contains(screen, hubtest.Token) {
		t.Errorf("the screen: %s", screen)
	}
	for _, c := range []struct {
		kind     hubapi.Kind
		id, file string
		says     string
	}{
		{hubapi.Models, "someone/my-run", "adapter_model.safetensors", "library_name: peft"},
		{hubapi.Datasets, "someone/my-run-predictions", "predictions.jsonl", "The answer to each row"},
		{hubapi.Datasets, "someone/my-run-results", "results.jsonl", "## Scores"},
	} {
		files := hub.Files(c.kind, c.id)
		if files[c.file] == "" || !strings.Contains(files["README.md"], c.says) || !strings.Contains(files["README.md"], "`pushed`") {
			t.Errorf("%s has %d files, and the card\n%s", c.id, len(files), files["README.md"])
		}
		if !hub.Private(c.kind, c.id) || hub.Commits(c.kind, c.id) != 1 {
			t.Errorf("%s: private %t, %d commits", c.id, hub.Private(c.kind, c.id), hub.Commits(c.kind, c.id))
		}
	}
	on := []string{"--data", dir + "/data"}
	if _, out, _ := clitest.Run(t, append([]string{"show", "pushed"}, on...)...); !strings.Contains(out, "PUSHED") || !strings.Contains(out, hub.URL+"/datasets/someone/my-run-results") {
		t.Errorf("show:\n%s", out)
	}
	t.Setenv("HF_TOKEN", hubtest.Token)
	status, out, screen := clitest.Run(t, append([]string{"replay", "publishing", "--run", "pushed", "--anew", "--json"}, on...)...)
	if status != 0 || strings.Count(out, `"outcome":"pushed"`) != 3 || strings.Contains(out, `"recorded":true`) {
		t.Errorf("again: status %d\n%s%s", status, out, screen)
	}
	if strings.Count(out, `"unchanged":true`) != 3 || !strings.Contains(screen, "0 products pushed, 3 there already, 0 not") {
		t.Errorf("again, with nothing to commit:\n%s%s", out, screen)
	}
	if status, out, screen := clitest.Run(t, append([]string{"replay", "publishing", "--json"}, on...)...); status != 0 || out != "" {
		t.Errorf("what is left: status %d\n%s%s", status, out, screen)
	}
	if n := hub.Commits(hubapi.Models, "someone/my-run"); n != 1 {
		t.Errorf("%d commits", n)
	}
}

// TestPushThatFails: a Hub that refuses, a missing token and a missed gate leave the run
// as it is; the result says why, and the command that pushes later does so.
func TestPushThatFails(t *testing.T) {
	hub := hubtest.New(t)
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_TOKEN", "")
	dir := t.TempDir()

	got, status, screen := runPush(t, pushArgs(dir, "no-token", "--skip-inference", "--skip-evaluation"))
	if status != 0 || got.outcomes() != "model=skipped" || !strings.Contains(got.Published[0].Reason, "has no token") {
		t.Errorf("without a token: status %d, %+v\n%s", status, got, screen)
	}

	hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/repos/create") {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	got, status, screen = runPush(t, pushArgs(dir, "refused", "--skip-inference", "--skip-evaluation", "--hf-key", hubtest.Token, "--set", "fine_tuner.hub_model_id=team/model"))
	if status != 0 || got.Status != "success" || got.outcomes() != "model=failed" {
		t.Fatalf("refused: status %d, %+v\n%s", status, got, screen)
	}
	if n := strings.Count(screen, "not pushed to the Hub: "); n != 1 || strings.Contains(screen, "warning: not pushed") {
		t.Errorf("said %d times while it runs:\n%s", n, screen)
	}
	if p := got.Published[0]; p.Error.Code != "hub_refuses" || !strings.Contains(p.Error.Message, "may not write") || p.Repository != "team/model" {
		t.Errorf("%+v", p)
	}
	_, out, _ := clitest.Run(t, "show", "refused", "--data", dir+"/data")
	if !strings.Contains(out, "not pushed: model: ") || !strings.Contains(out, "replay publishing --run refused --data") {
		t.Errorf("show:\n%s", out)
	}
	hub.Intercept(nil)
	for _, run := range []string{"refused", "no-token"} {
		status, out, screen := clitest.Run(t, "replay", "publishing", "--run", run, "--data", dir+"/data", "--hf-key", hubtest.Token, "--json")
		if status != 0 || !strings.Contains(out, `"outcome":"pushed"`) || !strings.Contains(out, `"recorded":true`) {
			t.Errorf("replay of %s: status %d\n%s%s", run, status, out, screen)
		}
	}
	var after pushed
	clitest.Result(t, &after, "show", "refused", "--data", dir+"/data")
	if after.outcomes() != "model=pushed" || after.Published[0].Attempt != 2 || hub.Commits(hubapi.Models, "team/model") != 1 {
		t.Errorf("%+v", after)
	}

	got, status, screen = runPush(t, pushArgs(dir, "gate", "--hf-key", hubtest.Token, "--set", "evaluator.gates={rouge_score = 1.0}", "--set", "mlflow.run_name=gated"))
	if status != 4 || got.outcomes() != "model=skipped predictions=skipped results=skipped" || !strings.Contains(got.Published[0].Reason, "gates are missed: rouge_score") {
		t.Errorf("a missed gate: status %d, %+v\n%s", status, got, screen)
	}
	if n := hub.Commits(hubapi.Models, "someone/gated"); n >= 0 {
		t.Errorf("%d commits of a run that missed its gate", n)
	}
	if _, out, _ := clitest.Run(t, "show", "gate", "--data", dir+"/data"); !strings.Contains(out, "replay publishing --run gate --push-always --data") {
		t.Errorf("show:\n%s", out)
	}
	replay := []string{"replay", "publishing", "--data", dir + "/data", "--hf-key", hubtest.Token}
	for _, c := range []struct {
		name   string
		flags  []string
		status int
		says   string
	}{
		{"a dry run", []string{"--run", "gate", "--dry-run"}, 0, "0 products would be pushed, 3 not"},
		{"the gate", []string{"--run", "gate"}, 1, "0 products pushed, 3 not"},
		{"no run", []string{"--push-always"}, 2, "--push-always is for runs that --run names"},
		{"a dry run always", []string{"--run", "gate", "--push-always", "--dry-run"}, 0, "3 products would be pushed, 0 not"},
		{"always", []string{"--run", "gate", "--push-always"}, 0, "3 products pushed, 0 not"},
		{"nothing is left", []string{"--run", "gate"}, 0, "0 products pushed, 0 not"},
	} {
		if status, out, screen := clitest.Run(t, append(replay, c.flags...)...); status != c.status || !strings.Contains(screen, c.says) {
			t.Errorf("%s: status %d\n%s%s", c.name, status, out, screen)
		}
	}
	if n := hub.Commits(hubapi.Models, "someone/gated"); n != 1 {
		t.Errorf("%d commits, though the gate was to be no obstacle", n)
	}
}

// TestPushNames: a name that the Hub does not take is a fault before anything starts.
func TestPushNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, _, screen := clitest.Run(t, pushArgs(dir, "named", "--set", "fine_tuner.hub_model_id=../../x", "--set", "inferencer.hf_user_id=a/b")...)
	if status != 2 || !strings.Contains(screen, "fine_tuner.hub_model_id") || !strings.Contains(screen, "inferencer.hf_user_id") {
		t.Errorf("status %d\n%s", status, screen)
	}
}
