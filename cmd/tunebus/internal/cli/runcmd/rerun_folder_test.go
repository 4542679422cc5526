package runcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
)

// TestRerunOnFolder: where no server is in reach, a run of a data folder is
// repeated in this process, to its end.
func TestRerunOnFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("NATS_URL", "")
	t.Setenv("TUNEBUS_DATA_FOLDER", "data")
	status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--set", "evaluator.metrics=exact_match")...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	status, out, screen := clitest.Run(t, "rerun", "last", "--set", "evaluator.metrics=token_f1", "--json")
	if status != 0 {
		t.Fatalf("rerun: status %d\n%s", status, screen)
	}
	if got := clitest.ReadSummary(t, out); got.Status != "success" || got.Scores["token_f1"] != 1 || len(got.Scores) != 1 {
		t.Errorf("the new run: %+v", got)
	}
	status, out, screen = clitest.Run(t, "rerun", "unknown", "--data", "data")
	if status != int(exit.CodeInput) || out != "" || !strings.Contains(screen, "unknown") {
		t.Errorf("rerun of an unknown run: status %d\n%s%s", status, out, screen)
	}
}
