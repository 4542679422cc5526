package opscmd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestArchiveCommand: on a data folder that nobody uses, ended runs go into
// the archive, and the other commands find them there.
func TestArchiveCommand(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"one", "two"} {
			clitest.Publish(t, b, clitest.EndedRun(run, folder.Put(t, run, "answers.jsonl", "{}\n"))...)
			clitest.Publish(t, b, events.TrackingCompleted{RunID: run})
		}
		clitest.Publish(t, b, clitest.EndedRun("pending")...)
	})
	type report struct {
		Archived []struct {
			Run string `json:"run_id"`
		} `json:"archived"`
		Left []struct {
			Run string `json:"run_id"`
			Why string `json:"why"`
		} `json:"left"`
		Young  int  `json:"young"`
		DryRun bool `json:"dry_run"`
	}
	var young, dry, done, again report
	clitest.Result(t, &young, "archive", "--data", folder.Dir, "--older-than", "90d")
	if len(young.Archived) != 0 || young.Young != 3 {
		t.Errorf("at 90 days: %+v", young)
	}
	clitest.Result(t, &dry, "archive", "--data", folder.Dir, "--older-than", "0s", "--dry-run")
	if len(dry.Archived) != 2 || !dry.DryRun {
		t.Errorf("dry: %+v", dry)
	}
	clitest.Result(t, &done, "archive", "--data", folder.Dir, "--older-than", "0s")
	if len(done.Archived) != 2 || len(done.Left) != 1 || done.Left[0].Run != "pending" || !strings.Contains(done.Left[0].Why, "replay tracking --run pending") {
		t.Errorf("archived: %+v", done)
	}
	clitest.Result(t, &again, "archive", "--data", folder.Dir, "--older-than", "0s")
	if len(again.Archived) != 0 {
		t.Errorf("again: %+v", again)
	}

	if status, out, screen := clitest.Run(t, "show", "one", "--data", folder.Dir); status != 0 || !strings.Contains(out, "name-of-one (one): success") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, "show", "nobody", "--data", folder.Dir); status != 2 || !strings.Contains(screen, "unknown") {
		t.Errorf("show nobody: status %d\n%s", status, screen)
	}
	if status, out, screen := clitest.Run(t, "cancel", "one", "--data", folder.Dir); status != 2 || !strings.Contains(out, "has ended already") {
		t.Errorf("cancel: status %d\n%s%s", status, out, screen)
	}
	list := func(args ...string) []string {
		var all []struct {
			Run string `json:"run_id"`
		}
		clitest.Result(t, &all, append(args, "--data", folder.Dir)...)
		var ids []string
		for _, r := range all {
			ids = append(ids, r.Run)
		}
		return ids
	}
	if ids := list("runs"); !slices.Equal(ids, []string{"pending"}) {
		t.Errorf("runs: %v", ids)
	}
	if ids := list("runs", "--archived"); !slices.Equal(ids, []string{"pending", "two", "one"}) {
		t.Errorf("runs --archived: %v", ids)
	}
	if status, out, screen := clitest.Run(t, "archive", "--data", folder.Dir, "--older-than", "0s"); status != 0 || !strings.Contains(out, "0 runs archived") || !strings.Contains(out, "left: pending: ") {
		t.Errorf("for people: status %d\n%s%s", status, out, screen)
	}
}

// TestArchiveCommandRefuses says what is missing.
func TestArchiveCommandRefuses(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(*conn.Conn) {})
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no age":         {[]string{"--data", folder.Dir}, "--older-than"},
		"bad age":        {[]string{"--data", folder.Dir, "--older-than", "90"}, "90d, 36h"},
		"no data folder": {[]string{"--data", dir, "--older-than", "90d"}, "no data folder"},
		"no such store":  {[]string{"--data", folder.Dir, "--older-than", "90d", "--artifacts", "ftp://x"}, "ftp"},
	} {
		if status, _, screen := clitest.Run(t, append([]string{"archive"}, c.args...)...); status != 2 || !strings.Contains(screen, c.want) {
			t.Errorf("%s: status %d\n%s", name, status, screen)
		}
	}
}
