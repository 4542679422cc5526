package cli_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestGCCommand: what nobody refers to goes once it is old enough, also
// behind an archived run; a store that nobody refers to needs a word more.
func TestGCCommand(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.put(t, "nobody", "left.jsonl", "x")
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
	p.on(t, func(*conn.Conn) {})
	base := []string{"gc", "--data", p.dir, "--grace", "0s"}
	status, _, screen := tunebus(t, base...)
	if status != 1 || !strings.Contains(screen, "--store "+p.store.ID()) {
		t.Errorf("a store that no run refers to: status %d\n%s", status, screen)
	}
	if status, _, screen := tunebus(t, append(base, "--store", "another")...); status != 2 || !strings.Contains(screen, "this is store "+p.store.ID()) {
		t.Errorf("another store: status %d\n%s", status, screen)
	}
	p.on(t, func(b *conn.Conn) {
		tell(t, b, ended("r", p.put(t, "r", "answers.jsonl", "x"))...)
		tell(t, b, events.TrackingCompleted{RunID: "r"})
	})
	if status, _, screen := tunebus(t, "archive", "--data", p.dir, "--older-than", "0s"); status != 0 {
		t.Fatalf("archive: status %d\n%s", status, screen)
	}
	var young, dry, done, again report
	result(t, &young, "gc", "--data", p.dir)
	if young.Summary.Removed.Count != 0 {
		t.Errorf("within a day: %+v", young)
	}
	result(t, &dry, append(base, "--dry-run")...)
	if dry.Summary.Removed.Count != 1 || !dry.DryRun {
		t.Errorf("dry: %+v", dry)
	}
	result(t, &done, base...)
	if len(done.Objects) != 1 || !strings.HasSuffix(done.Objects[0].Key, "left.jsonl") || done.Summary.Runs != 1 {
		t.Errorf("done: %+v", done)
	}
	result(t, &again, base...)
	if len(again.Objects) != 0 {
		t.Errorf("again: %+v", again)
	}
	if status, out, screen := tunebus(t, base...); status != 0 || !strings.Contains(out, "0 objects (0 bytes)") {
		t.Errorf("for people: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := tunebus(t, "show", "r", "--data", p.dir); status != 0 || !strings.Contains(out, "name-of-r") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
}
