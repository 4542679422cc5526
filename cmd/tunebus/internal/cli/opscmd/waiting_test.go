package opscmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestWaitingOnAFolder: each command says that a request waits for intake, and what works on it,
// of a folder on which nobody works.
func TestWaitingOnAFolder(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("old")...)
		for _, id := range []string{"asked", "other"} {
			clitest.Publish(t, b, events.PipelineRequested{RunID: id, RunName: "named-" + id, Labels: map[string]string{"team": "x"}, Specification: json.RawMessage(`{}`)})
		}
	})
	does := "tunebus up --data " + f.Dir
	for _, c := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"show", "asked"}, 0, []string{"waiting for intake since ", does}},
		{[]string{"watch", "asked"}, 1, []string{"is waiting for intake", does}},
		{[]string{"logs", "asked"}, 1, []string{"is waiting for intake", does}},
		{[]string{"delete", "asked", "--yes"}, 2, []string{"there is nothing to delete yet", "is waiting for intake", does, "tunebus cancel asked --data " + f.Dir}},
		{[]string{"doctor"}, 0, []string{"2 requests wait for intake, the first since ", does}},
	} {
		status, out, screen := clitest.Run(t, append(c.args, "--data", f.Dir)...)
		for _, says := range c.says {
			if status != c.status || !strings.Contains(out+screen, says) || strings.Contains(out+screen, "tunebus-intake") {
				t.Errorf("%q: status %d, no %q in\n%s%s", c.args, status, says, out, screen)
			}
		}
	}
	for filter, want := range map[string]string{"--limit=0": "other asked old", "--status=open": "other asked", "--label=team=y": ""} {
		var rows []struct {
			RunID       string            `json:"run_id"`
			RunName     string            `json:"run_name"`
			Status      string            `json:"status"`
			RequestedAt string            `json:"requested_at"`
			Labels      map[string]string `json:"labels"`
		}
		clitest.Result(t, &rows, "runs", filter, "--data", f.Dir)
		var ids []string
		for _, row := range rows {
			if ids = append(ids, row.RunID); row.RunID == "old" {
				continue
			}
			if row.Status != "waiting for intake" || row.RunName != "named-"+row.RunID || row.RequestedAt == "" || row.Labels["team"] != "x" {
				t.Errorf("%+v", row)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("runs %s: %q, want %q", filter, got, want)
		}
	}
}

// TestDeleteWithoutRun: the usage says what a deletion takes, which is no beginning of an id.
func TestDeleteWithoutRun(t *testing.T) {
	t.Parallel()
	status, _, screen := clitest.Run(t, "delete")
	if status != 2 || !strings.Contains(screen, "RUN is a whole id") || strings.Contains(screen, "the beginning of one") {
		t.Errorf("status %d: %s", status, screen)
	}
}
