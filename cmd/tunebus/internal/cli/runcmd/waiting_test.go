package runcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestRunAfterWaitingRequests: a run names the requests that wait for intake on its data folder,
// and has them worked on first, cancels them, or leaves them as they are.
func TestRunAfterWaitingRequests(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		args   []string
		status string
		says   string
	}{
		"first":  {nil, "success", "going on with "},
		"cancel": {[]string{"--resume=cancel"}, "cancelled", " ended: cancelled"},
		"skip":   {[]string{"--resume=skip"}, "waiting for intake", "left unfinished on the data folder "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data := dir + "/data"
			args := func(more ...string) []string {
				return evaluationOnly(t, dir, append(more, "--set", "evaluator.metrics=exact_match")...)
			}
			if status, _, screen := clitest.Run(t, args("--run-id", "old")...); status != 0 {
				t.Fatalf("status %d\n%s", status, screen)
			}
			var again struct {
				RunID string `json:"run_id"`
			}
			clitest.Result(t, &again, "replay", "requests", "--since", "1h", "--data", data)
			id := again.RunID
			if name != "first" { // whose run is rejected behind the one that waits
				status, _, screen := clitest.Run(t, args(append(want.args, "--run-id", id)...)...)
				if status != 2 || !strings.Contains(screen, "a request that waits for intake has this id") {
					t.Errorf("a run of the same id: status %d\n%s", status, screen)
				}
			}
			status, out, screen := clitest.Run(t, args(want.args...)...)
			if status != 0 || clitest.ReadSummary(t, out).Status != "success" {
				t.Fatalf("status %d\n%s%s", status, out, screen)
			}
			for _, says := range []string{"1 request waits for intake on the data folder " + data, id + ", since ", want.says} {
				if !strings.Contains(screen, says) {
					t.Errorf("the screen does not say %q:\n%s", says, screen)
				}
			}
			if strings.Contains(screen, "meanwhile") {
				t.Errorf("it was submitted before:\n%s", screen)
			}
			var shown struct{ Status string }
			clitest.Result(t, &shown, "show", id, "--data", data)
			if shown.Status != want.status {
				t.Errorf("%s is %s, want %s", id, shown.Status, want.status)
			}
		})
	}
}
