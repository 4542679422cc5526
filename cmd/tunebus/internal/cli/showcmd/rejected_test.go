package showcmd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestRunsListRejected: rejected requests are in the list of runs with their reason, at
// the time of their rejection, also one with the id of a run.
func TestRunsListRejected(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	faults := []events.Fault{{Key: "fine_tuner.epochs", Message: "is no number"}}
	f.WithServer(t, func(b *conn.Conn) {
		ended := func(id string) []events.Event {
			facts := clitest.EndedRun(id)
			accepted := facts[0].(events.PipelineAccepted)
			accepted.RequestedAt = time.Now() // a rejected request has the time at which it was stored
			facts[0] = accepted
			return facts
		}
		clitest.Publish(t, b, ended("first")...)
		clitest.Publish(t, b, events.PipelineRejected{RequestSequence: 3, RunID: "refused", Faults: faults})
		clitest.Publish(t, b, ended("second")...)
		clitest.Publish(t, b, events.PipelineRejected{RequestSequence: 9, RunID: "first", Faults: append(faults, faults...)})
	})
	var list []struct {
		Run    string `json:"run_id"`
		Status string
		Error  string
		Scores map[string]float64
	}
	clitest.Result(t, &list, "runs", "--data", f.Dir)
	var got []string
	for _, r := range list {
		got = append(got, r.Run+" "+r.Status)
		if rejected := r.Status == "rejected"; rejected != strings.HasPrefix(r.Error, "fine_tuner.epochs: is no number") {
			t.Errorf("%+v", r)
		}
	}
	if want := "first rejected, second success, refused rejected, first success"; strings.Join(got, ", ") != want {
		t.Errorf("listed %q, want %s", got, want)
	}
	if got := list[0].Error; got != "fine_tuner.epochs: is no number (and 1 more)" {
		t.Errorf("two faults: %q", got)
	}
	for run, says := range map[string]bool{"first": true, "second": false} {
		status, _, screen := clitest.Run(t, "show", run, "--data", f.Dir)
		if status != 0 || strings.Contains(screen, "request 9 with the id first was rejected") != says {
			t.Errorf("show %s: status %d\n%s", run, status, screen)
		}
	}
	status, out, screen := clitest.Run(t, "runs", "--data", f.Dir, "--status", "rejected", "--limit", "1")
	if status != 0 || !strings.Contains(out, "is no number") || strings.Contains(out, "success") || strings.Contains(out, "refused") {
		t.Errorf("--status rejected: status %d\n%s%s", status, out, screen)
	}
}
