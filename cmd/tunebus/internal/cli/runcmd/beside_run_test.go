package runcmd_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// trainable is a specification that trains on the data of the quickstart for so long that
// a test has to cancel it.
func trainable(t *testing.T) string {
	t.Helper()
	quick := filepath.Join(clitest.Root(), "configs", "quickstart")
	return "[fine_tuner]\nbase_model_id = \"" + quick + "/base-model\"\ntraining_data_id = \"" + quick + "/validation.jsonl\"\nepochs = 5000\n" +
		"[inferencer]\ntesting_data_id = \"" + quick + "/validation.jsonl\"\nmax_new_tokens = 2\n[evaluator]\nmetrics = [\"rouge_score\"]\n"
}

// TestBesideRun: while "tunebus run" works on a data folder, each other verb works on the
// same folder, and finds the process by itself. What is submitted to it is worked on to
// its end.
func TestBesideRun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	t.Chdir(dir)
	clitest.Write(t, dir, "run.toml", trainable(t))
	ctx, cancel := context.WithCancel(t.Context())
	var out, screen bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- cli.Main(ctx, []string{"run", "run.toml", "--run-id", "first"}, &out, &screen) }()
	t.Cleanup(cancel)
	clitest.Eventually(t, "the run is worked on", func() bool {
		_, shown, _ := clitest.Run(t, "logs", "first")
		return strings.Contains(shown, "started by")
	})
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"runs"}, 0, "first"},
		{[]string{"runs", "--data", "tunebus-data"}, 0, "first"},
		{[]string{"show", "last"}, 0, "(first): running"},
		{[]string{"show", "last", "--data", "tunebus-data"}, 0, "tunebus logs first --data tunebus-data"},
		{[]string{"watch", "first", "--timeout", "1s", "--data", "tunebus-data"}, 6, "tunebus watch first --data tunebus-data"},
		{[]string{"logs", "first"}, 0, "started by"},
		{[]string{"doctor"}, 0, "queue finetune/builtin"},
		{[]string{"watch", "first", "--timeout", "1s"}, 6, "run first did not end within 1s"},
		{[]string{"export", "first", "model"}, 2, "run first has no tuned model yet: fine-tuning is running"},
		{[]string{"chat", "first"}, 2, "run first has no tuned model yet: fine-tuning is running"},
		{[]string{"delete", "first", "--yes"}, 2, "it has not ended"},
		{[]string{"gc", "--dry-run"}, 0, "1 still running"},
		{[]string{"archive", "--older-than", "1h"}, 0, "1 still running"},
		{[]string{"dlq", "list"}, 0, "no dead letters"},
		{[]string{"run", "run.toml", "--set", "fine_tuner.epochs=1"}, 2, "works on the data folder tunebus-data; this has it work on this run, too:\n  tunebus submit --config run.toml --set fine_tuner.epochs=1"},
		{[]string{"up", "--port", "0"}, 2, "works on the data folder tunebus-data; wait for its end"},
		{[]string{"submit", "run.toml", "--set", "fine_tuner.epochs=1", "--run-id", "second"}, 0, "is asked to take run second on; if it does, it ends when both have ended"},
		{[]string{"submit", "run.toml", "--set", "fine_tuner.epochs=1", "--run-id", "third", "--data", "tunebus-data"}, 0, "third"},
		{[]string{"watch", "second", "--timeout", "9s"}, 6, "finetune   waits for a free worker of finetune/builtin, which works on "},
		{[]string{"show", "second"}, 0, "it waits for a free worker of finetune/builtin, which works on "},
		{[]string{"compare", "first", "second"}, 0, "fine_tuner.epochs"},
		{[]string{"cancel", "third"}, 0, "run third was cancelled"},
		{[]string{"rerun", "third", "--run-id", "fourth"}, 0, "fourth"},
		{[]string{"cancel", "fourth"}, 0, "run fourth was cancelled"},
		{[]string{"delete", "third", "--yes"}, 0, "third"},
		{[]string{"cancel", "first"}, 0, "run first was cancelled"},
	} {
		status, shown, said := clitest.RunWithInput(t, strings.NewReader(""), c.args...)
		if status != c.status || !strings.Contains(shown+said, c.says) {
			t.Errorf("%v: status %d, want %d and %q\n%s%s", c.args, status, c.status, c.says, shown, said)
		}
		if strings.Contains(said, "this works on the data folder") {
			t.Errorf("%v: it does not work on the folder itself\n%s", c.args, said)
		}
	}
	if status := <-done; status != 5 {
		t.Errorf("the run ended with status %d", status)
	}
	if !strings.Contains(screen.String(), "run second ended: success\n") {
		t.Errorf("the run that was submitted has not ended with the process\n%s", &screen)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "..", "*", "tunebus", "up", "*.json")); len(files) > 0 || err != nil {
		t.Errorf("the process leaves %v (%v)", files, err)
	}
	if status, shown, said := clitest.Run(t, "runs"); status != 0 || !strings.Contains(said, "this works on the data folder tunebus-data") {
		t.Errorf("runs behind it: status %d\n%s%s", status, shown, said)
	}
}
