package runcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestSameRun: a command that is repeated with the id of its unfinished run goes on with that
// run, and ends as it does. With another specification it is refused, and so is the id of a run
// that had ended.
func TestSameRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := func(more ...string) []string {
		return evaluationOnly(t, dir, append(more, "--set", "evaluator.metrics=exact_match")...)
	}
	if status, _, screen := clitest.Run(t, args("--run-id", "old")...); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	var again struct {
		RunID string `json:"run_id"`
	}
	clitest.Result(t, &again, "replay", "requests", "--since", "1h", "--data", dir+"/data")
	const other = "has another specification (evaluator.gate_coverage)"
	if status, _, screen := clitest.Run(t, args("--run-id", again.RunID, "--set", "evaluator.gate_coverage=0.5")...); status != 2 || !strings.Contains(screen, other) {
		t.Errorf("another specification: status %d\n%s", status, screen)
	}
	status, out, screen := clitest.Run(t, args("--run-id", again.RunID)...)
	if s := clitest.ReadSummary(t, out); status != 0 || s.Status != "success" || s.RunID != again.RunID || !strings.Contains(screen, "run "+again.RunID+" is the one that was asked for") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, args("--run-id", again.RunID)...); status != 2 || !strings.Contains(screen, "exists already") {
		t.Errorf("an ended run: status %d\n%s", status, screen)
	}
}
