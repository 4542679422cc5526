package showcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// TestUnreadableFacts: a malformed fact of a run, and one of a newer version,
// hide nothing else. They are named, and kept as they are.
func TestUnreadableFacts(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("r", folder.Put(t, "r", "answers.jsonl", "{}\n"))...)
		clitest.Publish(t, b, clitest.EndedRun("endless")[:4]...)
		clitest.Publish(t, b, clitest.EndedRun("fine")...)
	})
	garbage := "{\"garbage"
	folder.PublishRaw(t, map[string]string{
		"pipeline.cancel_requested.r":    garbage,
		"inference.attempt_ended.r.7":    `{"specversion":"1.0","id":"x","source":"test","type":"inference.attempt_ended","dataschema":"https://tunebus.dev/schemas/inference.attempt_ended.v99.json","datacontenttype":"application/json","data":{}}`,
		"pipeline.completed.endless":     garbage,
		"pipeline.accepted.beginless":    garbage,
		"inference.started.beginless.1":  garbage,
		"pipeline.cancel_requested.fine": `{"specversion":"1.0","id":"y","source":"test","type":"pipeline.cancel_requested","datacontenttype":"application/json","data":{"run_id":"r"}}`,
	})
	named := func(what, text string, subjects ...string) {
		t.Helper()
		for _, subject := range subjects {
			if !strings.Contains(text, "fact "+subject+" at sequence ") {
				t.Errorf("%s does not name %s:\n%s", what, subject, text)
			}
		}
	}
	bad := []string{"pipeline.cancel_requested.r", "inference.attempt_ended.r.7"}
	show := func() {
		t.Helper()
		status, out, screen := clitest.Run(t, "show", "r", "--data", folder.Dir)
		if status != 0 || !strings.Contains(out, "name-of-r (r): success") || !strings.Contains(out, "v99") {
			t.Errorf("show: status %d\n%s%s", status, out, screen)
		}
		named("show", out, bad...)
	}
	show()
	var shown struct {
		Status     string
		Unreadable []history.UnreadableFact
	}
	clitest.Result(t, &shown, "show", "r", "--data", folder.Dir)
	if shown.Status != "success" || len(shown.Unreadable) != 2 || shown.Unreadable[0].Sequence == 0 || shown.Unreadable[0].Why == "" {
		t.Errorf("show --json: %+v", shown)
	}
	if status, _, screen := clitest.Run(t, "show", "beginless", "--data", folder.Dir); status != 1 {
		t.Errorf("show of a run without a beginning: status %d\n%s", status, screen)
	} else {
		named("show", screen, "pipeline.accepted.beginless", "inference.started.beginless.1")
	}
	status, out, screen := clitest.Run(t, "runs", "--data", folder.Dir)
	for _, line := range []string{"name-of-r", "name-of-endless", "name-of-fine", "unreadable"} {
		if status != 0 || !strings.Contains(out, line) {
			t.Errorf("runs: status %d, no %s\n%s%s", status, line, out, screen)
		}
	}
	named("runs", screen, append(bad, "pipeline.completed.endless", "pipeline.cancel_requested.fine")...)

	if status, _, screen := clitest.Run(t, "replay", "tracking", "--run", "r", "--run", "fine", "--data", folder.Dir, "--reports", t.TempDir(), "--to", "file://"+t.TempDir()); status != 0 {
		t.Errorf("replay tracking: status %d\n%s", status, screen)
	}
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, events.TrackingCompleted{RunID: "r"}) })
	if status, out, screen := clitest.Run(t, "gc", "--data", folder.Dir, "--grace", "0s"); status != 0 || !strings.Contains(out, "0 objects") || !strings.Contains(out, "tunebus show r") {
		t.Errorf("gc: status %d\n%s%s", status, out, screen)
	}
	status, out, screen = clitest.Run(t, "archive", "--data", folder.Dir, "--older-than", "0s")
	if status != 0 || !strings.Contains(out, "1 run archived") {
		t.Errorf("archive: status %d\n%s%s", status, out, screen)
	}
	named("archive", out, "pipeline.completed.endless", "pipeline.accepted.beginless")
	show()
	var list []struct{ Status string }
	clitest.Result(t, &list, "runs", "--archived", "--data", folder.Dir)
	if len(list) != 4 {
		t.Errorf("runs --archived: %+v", list)
	}
}
