package opscmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// deleteHere deletes from the folder of this package, which is not that where the runs
// were tracked, and returns the JSON.
func (f deletionFolder) deleteHere(t *testing.T, args ...string) (status int, got deletionReport, screen string) {
	t.Helper()
	status, out, screen := f.run(t, append([]string{"delete", "--yes", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
	}
	for _, made := range []string{"reports", "mlruns"} {
		if found, _ := filepath.Glob(filepath.Join(made, "*")); len(found) > 0 {
			t.Errorf("a deletion makes files in %s: %q", made, found)
		}
	}
	return status, got, screen
}

// TestDeleteFromElsewhere: the reports, the line in the list and the MLflow runs of a
// run are reached from any folder, where the run wrote them. What a person put beside
// the reports stays, and is named.
func TestDeleteFromElsewhere(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("old")...)
		clitest.Publish(t, b, clitest.EndedRun("new")...)
	})
	f.track(t)
	reports := filepath.Join(filepath.Dir(f.Dir), "reports")
	clitest.Write(t, filepath.Join(reports, "old"), "my-notes.txt", "mine")

	status, got, screen := f.deleteHere(t, "old")
	notes := filepath.Join(reports, "old", "my-notes.txt")
	if status != 0 || len(got.Left) != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], notes+" stays") {
		t.Errorf("status %d, %+v\n%s", status, got, screen)
	}
	left, err := os.ReadDir(filepath.Dir(notes))
	if err != nil || len(left) != 1 {
		t.Errorf("left of the reports: %v, %v", left, err)
	}
	if list := clitest.Text(t, filepath.Join(reports, "runs.txt")); strings.Contains(list, "old") || !strings.Contains(list, "new") {
		t.Errorf("the list of runs:\n%s", list)
	}
	if n := f.tagged(t); n != 2 {
		t.Errorf("%d MLflow runs are tagged, want 2", n)
	}
	if _, got, _ := f.deleteHere(t, "new"); len(got.Notes) != 0 {
		t.Errorf("notes of a run without files of others: %v", got.Notes)
	}
	if _, err := os.Stat(filepath.Join(reports, "new")); err == nil {
		t.Error("the folder of the reports is left")
	}
}

// TestNoStoreIsMade: a mistyped address makes no store, whatever the verb.
func TestNoStoreIsMade(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r", f.Put(t, "r", "x", "x"))...) })
	dir := t.TempDir()
	for _, args := range [][]string{
		{"delete", "r", "--yes"},
		{"runs", "--archived"},
		{"archive", "--older-than", "0s"},
		{"gc", "--dry-run"},
	} {
		status, _, screen := f.run(t, append(args, "--artifacts", "file://"+dir+"/nosuch")...)
		if status != 2 || !strings.Contains(screen, dir+"/nosuch: there is no artifact store") {
			t.Errorf("%v: status %d\n%s", args, status, screen)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("made: %v, %v", left, err)
	}
}

// TestDeleteWithoutTracking: a run that no tracker has finished has its reports at a
// place that nothing tells. A deletion that does not find them says so, with a status
// of its own, and finds them once it is told where they are.
func TestDeleteWithoutTracking(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	reports := filepath.Join(filepath.Dir(f.Dir), "reports", "r")
	if err := os.MkdirAll(reports, 0o755); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, reports, "config.toml", "x")
	status, got, screen := f.deleteHere(t, "r")
	if status != 7 || len(got.Left) != 1 || !strings.Contains(got.Left[0], "run r: it was not tracked to its end") {
		t.Errorf("status %d, %+v\n%s", status, got, screen)
	}
	again := f.delete(t, "r")
	if _, err := os.Stat(reports); err == nil || len(again.Left) != 0 {
		t.Errorf("with --reports: %+v, and the folder: %v", again, err)
	}
}

// TestDeleteWherePlacesAreGone: folders that were removed or moved are said, and a
// deletion that was done says so.
func TestDeleteWherePlacesAreGone(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	f.track(t)
	dir := filepath.Dir(f.Dir)
	for _, name := range []string{"reports", "mlruns"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "moved-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	status, got, screen := f.deleteHere(t, "r")
	if status != 0 || len(got.Notes) != 2 || !slices.ContainsFunc(got.Notes, func(n string) bool { return strings.Contains(n, filepath.Join(dir, "reports", "r")) }) {
		t.Errorf("status %d, %+v\n%s", status, got, screen)
	}
	if status, out, screen := f.run(t, "delete", "r", "--yes"); status != 0 || !strings.Contains(out, "deleted before; nothing of it was left") {
		t.Errorf("again: status %d\n%s%s", status, out, screen)
	}
}
