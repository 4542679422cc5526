package opscmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestGCCommand: what nobody refers to goes once it is old enough, also
// behind an archived run; a store that nobody refers to needs a word more.
func TestGCCommand(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.Put(t, "nobody", "left.jsonl", "x")
	type report struct {
		Objects []struct {
			Key string `json:"key"`
		} `json:"objects"`
		Summary struct {
			Removed struct {
				Count int `json:"count"`
			} `json:"removed"`
			Runs int `json:"runs"`
		} `json:"summary"`
		DryRun bool `json:"dry_run"`
	}
	folder.WithServer(t, func(*conn.Conn) {})
	base := []string{"gc", "--data", folder.Dir, "--grace", "0s"}
	status, _, screen := clitest.Run(t, base...)
	if status != 1 || !strings.Contains(screen, "--store "+folder.Store.ID()) {
		t.Errorf("a store that no run refers to: status %d\n%s", status, screen)
	}
	if status, _, screen := clitest.Run(t, append(base, "--store", "another")...); status != 2 || !strings.Contains(screen, "this is store "+folder.Store.ID()) {
		t.Errorf("another store: status %d\n%s", status, screen)
	}
	folder.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("r", folder.Put(t, "r", "answers.jsonl", "x"))...)
		clitest.Publish(t, b, events.TrackingCompleted{RunID: "r"})
	})
	if status, _, screen := clitest.Run(t, "archive", "--data", folder.Dir, "--older-than", "0s"); status != 0 {
		t.Fatalf("archive: status %d\n%s", status, screen)
	}
	var young, dry, done, again report
	clitest.Result(t, &young, "gc", "--data", folder.Dir)
	if young.Summary.Removed.Count != 0 {
		t.Errorf("within a day: %+v", young)
	}
	clitest.Result(t, &dry, append(base, "--dry-run")...)
	if dry.Summary.Removed.Count != 1 || !dry.DryRun {
		t.Errorf("dry: %+v", dry)
	}
	clitest.Result(t, &done, base...)
	if len(done.Objects) != 1 || !strings.HasSuffix(done.Objects[0].Key, "left.jsonl") || done.Summary.Runs != 1 {
		t.Errorf("done: %+v", done)
	}
	clitest.Result(t, &again, base...)
	if len(again.Objects) != 0 {
		t.Errorf("again: %+v", again)
	}
	if status, out, screen := clitest.Run(t, base...); status != 0 || !strings.Contains(out, "0 objects (0 bytes)") {
		t.Errorf("for people: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "show", "r", "--data", folder.Dir); status != 0 || !strings.Contains(out, "name-of-r") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
}
