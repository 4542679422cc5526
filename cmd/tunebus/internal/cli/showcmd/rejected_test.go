package showcmd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

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

// TestRejectedWithoutID: a request whose id no run may have is listed by a name that every verb
// takes, breaks no line and no column, and is found by its label and by the id that it asked for.
func TestRejectedWithoutID(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	asked := []string{"a.b", "*", "../../x", "a\x1b[31m", "x\ny", strings.Repeat("b", 300), "last", "--yes", "名前"}
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("first")...)
		for i, id := range asked {
			clitest.Publish(t, b, events.PipelineRejected{
				RequestSequence: uint64(i + 1), RunID: id, RunName: "名前\x1b[31m", Labels: map[string]string{"team": "search"},
				Faults: []events.Fault{{Key: "fine_tuner.epochs", Message: "is no number"}, {Key: "run_id", Value: id, Message: "not a valid run id"}},
			})
		}
	})
	status, out, screen := clitest.Run(t, "runs", "--data", f.Dir, "--status", "rejected", "--label", "team=search")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != len(asked)+1 || strings.ContainsAny(out, "\x1b") {
		t.Fatalf("status %d, %d lines\n%s%s", status, len(lines), out, screen)
	}
	labels := runewidth.StringWidth(lines[0][:strings.Index(lines[0], "LABELS")])
	for i, line := range lines[1:] {
		if at := runewidth.StringWidth(line[:strings.Index(line, "team=search")]); at != labels || !strings.Contains(line, `run_id "`) {
			t.Errorf("the labels stand in column %d, not %d: %s", at, labels, line)
		}
		name := strings.Fields(line)[0]
		var shown struct {
			Run    string `json:"run_id"`
			Asked  string `json:"requested_run_id"`
			Status string
			Labels map[string]string
		}
		clitest.Result(t, &shown, "show", name, "--data", f.Dir)
		want := events.Cut(asked[len(asked)-1-i], events.MaxNameBytes)
		if shown.Run != name || shown.Status != "rejected" || shown.Asked != want || shown.Labels["team"] != "search" {
			t.Errorf("show %s: %+v", name, shown)
		}
		if status, _, screen := clitest.Run(t, "logs", name, "--data", f.Dir); status != 2 || !strings.Contains(screen, "was rejected") {
			t.Errorf("logs %s: status %d, %s", name, status, screen)
		}
	}
	for _, id := range []string{"a.b", "../../x", "x\ny"} {
		if status, out, screen := clitest.Run(t, "show", "--data", f.Dir, "--", id); status != 0 || !strings.Contains(out, "labels: team=search") {
			t.Errorf("show %q: status %d\n%s%s", id, status, out, screen)
		}
	}
}
