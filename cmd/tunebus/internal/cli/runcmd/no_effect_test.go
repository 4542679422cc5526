package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestRefusedFlags: a flag that says nothing, or what cannot be, is bad input with a sentence of
// its own, and nothing is made.
func TestRefusedFlags(t *testing.T) {
	t.Parallel()
	dir, folder := filepath.Join(t.TempDir(), "data"), clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	for want, args := range map[string][]string{
		"--data is empty; give it a value":      {"delete", "last", "--yes", "--data", ""},
		"--server is empty":                     {"runs", "--server", ""},
		"--run-id is empty":                     {"run", "x.toml", "--run-id", ""},
		"--tracking-uri is empty":               {"run", "x.toml", "--tracking-uri="},
		"--context is empty":                    {"show", "last", "--context", ""},
		"--label is empty":                      {"run", "x.toml", "--label", "a=b", "--label", ""},
		"--set is empty":                        {"config", "check", "--set", ""},
		"--since is empty":                      {"runs", "--since", ""},
		"--store is empty":                      {"gc", "--store", ""},
		"--to is empty":                         {"replay", "tracking", "--to", ""},
		"--run is empty":                        {"dlq", "list", "--run", ""},
		"--from is empty":                       {"rerun", "r", "--from", ""},
		"--dtype is empty":                      {"export", "r", "x", "--dtype", ""},
		"--hf-key is empty":                     {"up", "--hf-key", "", "--data", dir},
		"--port 99999: want a port, 1 to 65535": {"up", "--port", "99999", "--data", dir},
		"--port -1: want a port":                {"up", "--port", "-1", "--data", dir},
		"a is b already; a label has one value": {"run", "--label", "a=b", "--label", "a=c", "--data", dir},
		`run "x\r\nfake" is unknown on`:         {"show", "x\r\nfake", "--data", folder.Dir},
		"must not hold a fragment (#)":          {"run", "--tracking-uri", "http://127.0.0.1:1/#token=hush", "--data", dir, "--config", filepath.Join(clitest.Root(), "configs", "quickstart.toml")},
		"--reports, or services.tracker.reports of the settings: http://xxxxx@h:1 is an address": {"up", "--reports", "http://u:hush@h:1", "--data", dir},
		"--data, or data.folder of the settings: s3://xxxxx@b is an address":                     {"up", "--data", "s3://k:hush@b"},
		"fine_tuner.base_model_id = http://xxxxx@h:1: no such file or folder, and":               {"run", "--data", dir, "--config", filepath.Join(clitest.Root(), "configs", "quickstart.toml"), "--set", "fine_tuner.base_model_id=http://u:hush@h:1"},
		"fine_tuner.base_model_id = xxxxx@h:1: no such file or folder, and":                      {"run", "--data", dir, "--config", filepath.Join(clitest.Root(), "configs", "quickstart.toml"), "--set", "fine_tuner.base_model_id=u:hush@h:1"},
		"want an address such as https://host or":                                                {"run", "--tracking-uri", "garbage", "--data", dir, "--config", filepath.Join(clitest.Root(), "configs", "quickstart.toml")},
	} {
		status, out, screen := clitest.Run(t, args...)
		if status != 2 || out != "" || !strings.Contains(screen, want) || strings.Contains(screen, "hush") {
			t.Errorf("%q: status %d, want %q\n%s%s", args, status, want, out, screen)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refusal made the data folder")
	}
}

// TestWithoutEffect: what a run of answers that are there does not read is said; a label that is
// given twice with one value is one.
func TestWithoutEffect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clitest.Write(t, dir, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada","answer":"Ada"}`+"\n")
	args := append([]string{"run", "--predictions", filepath.Join(dir, "answers.jsonl"), "--set", "fine_tuner.epochs=2", "--set", "fine_tuner.base_model_id=mine",
		"--hf-key", "hf-of-a-test", "--openai-key", "sk-of-a-test", "--label", "a=b", "--label", "a=b"}, clitest.Folders(dir)...)
	status, out, screen := clitest.Run(t, args...)
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	for _, want := range []string{
		"fine_tuner.epochs = 2: has no effect: --predictions has nothing trained",
		"--hf-key: has no effect: nothing of this run comes from the Hub", "--openai-key: has no effect: no metric of this run needs a judge",
	} {
		if strings.Count(screen, want) != 1 {
			t.Errorf("want %q once:\n%s", want, screen)
		}
	}
	if strings.Contains(screen+out, "-of-a-test") || strings.Contains(screen, "base_model_id") {
		t.Errorf("it says more:\n%s%s", screen, out)
	}
}

// TestNotesBeforeTheStart: what is known of the model and the data is said before anything
// starts, once, by all three verbs alike.
func TestNotesBeforeTheStart(t *testing.T) {
	t.Parallel()
	sets := []string{
		clitest.Quickstart(), "--set", "fine_tuner.full_finetuning=false", "--set", "fine_tuner.rank=512", "--set", "fine_tuner.max_steps=1", "--set", "inferencer.baseline=false",
		"--set", "inferencer.max_new_tokens=251", "--set", "pipeline.enable_evaluation=false", "--set", `inferencer.stop=["e", "a", "o", "."]`,
	}
	for verb, args := range map[string][]string{
		"config check": append([]string{"config", "check"}, sets...),
		"run":          append(append([]string{"run"}, sets...), clitest.Folders(t.TempDir())...),
		"submit":       append([]string{"submit", "--server", "nats://127.0.0.1:1"}, sets...),
	} {
		_, out, screen := clitest.Run(t, args...)
		before, _, started := strings.Cut(screen, "finetune   started")
		if started != (verb == "run") {
			t.Fatalf("%s:\n%s%s", verb, out, screen)
		}
		for _, want := range []string{
			"note: --set: fine_tuner.rank = 512: is above the shorter side of ",
			"note: --set: inferencer.max_new_tokens = 251: 128 of 128 prompts and their answers together may have more than the 256 tokens",
		} {
			if !strings.Contains(before, want) {
				t.Errorf("%s: no %q before the start:\n%s", verb, want, screen)
			}
		}
		for _, once := range []string{"is above the shorter side", "together may have more"} {
			if strings.Count(screen, once) != 1 {
				t.Errorf("%s: %q is said %d times:\n%s", verb, once, strings.Count(screen, once), screen)
			}
		}
	}
}
