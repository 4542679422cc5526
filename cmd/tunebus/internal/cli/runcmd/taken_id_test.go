package runcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestTakenRunID: a run whose id is taken, or that of a deleted run, is refused, and its
// request does not stay behind.
func TestTakenRunID(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"taken", "gone"} {
			clitest.Publish(t, b, clitest.EndedRun(run)...)
			clitest.Publish(t, b, events.TrackingCompleted{RunID: run, Links: map[string]string{"config.toml": f.Dir + "/removed/" + run + "/config.toml"}})
		}
	})
	if status, out, screen := clitest.Run(t, "delete", "gone", "--yes", "--data", f.Dir); status != 0 {
		t.Fatalf("delete: status %d\n%s%s", status, out, screen)
	}
	dir := t.TempDir()
	clitest.Write(t, dir, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada","answer":"Ada"}`)
	for id, says := range map[string]string{"taken": "exists already", "gone": "was deleted"} {
		status, out, screen := clitest.Run(t, append([]string{
			"run", "--run-id", id, "--predictions", dir + "/answers.jsonl", "--set", `evaluator.metrics=["exact_match"]`,
		}, clitest.FoldersBeside(dir, f.Dir)...)...)
		if status != 2 || !strings.Contains(screen, says) {
			t.Errorf("%s: status %d, want 2 and %q\n%s%s", id, status, says, out, screen)
		}
	}
	if status, out, screen := clitest.Run(t, "runs", "--data", f.Dir); status != 0 || strings.Contains(out+screen, "waiting for intake") {
		t.Errorf("runs: status %d\n%s%s", status, out, screen)
	}
}
