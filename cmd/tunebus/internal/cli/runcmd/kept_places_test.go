package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestCancelOfItsOwnID: a run that asks for the id of an unfinished run is refused before it
// cancels that one.
func TestCancelOfItsOwnID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leaveUnfinished(t, dir)
	status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--resume=cancel", "--run-id", "queued")...)
	if status != 2 || !strings.Contains(screen, "nothing was cancelled") {
		t.Errorf("status %d\n%s", status, screen)
	}
	for _, run := range []string{"queued", "killed"} {
		var shown struct {
			Status events.Status `json:"status"`
		}
		clitest.Result(t, &shown, "show", run, "--data", filepath.Join(dir, "data"))
		if shown.Status == events.Status(events.Cancelled) {
			t.Errorf("%s is cancelled", run)
		}
	}
}

// TestStoreOfAnotherDataFolder: the artifact store of one data folder is no store of another.
func TestStoreOfAnotherDataFolder(t *testing.T) {
	t.Parallel()
	other, dir := t.TempDir(), t.TempDir()
	leaveUnfinished(t, other)
	store := filepath.Join(other, "data", "artifacts")
	if err := os.MkdirAll(store, 0o750); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, dir, "settings.toml", "[artifacts]\nurl = \"file://"+store+"\"\n")
	status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--settings", filepath.Join(dir, "settings.toml"))...)
	if status != 2 || !strings.Contains(screen, "is inside the data folder "+filepath.Join(other, "data")) {
		t.Errorf("status %d\n%s", status, screen)
	}
	// A data folder may name its own.
	status, _, screen = clitest.Run(t, evaluationOnly(t, other, "--settings", filepath.Join(dir, "settings.toml"), "--resume=cancel", "--set", "evaluator.metrics=exact_match")...)
	if status != 0 {
		t.Errorf("its own store: status %d\n%s", status, screen)
	}
}

// TestOtherPlacesAreSaid: a run that goes on with others says that their reports go to another
// folder now, where those that they had are gone, and what brings them back.
func TestOtherPlacesAreSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leaveUnfinished(t, dir)
	clitest.Write(t, filepath.Join(dir, "data"), "places.json", `{"reports":"../old","tracking_uri":"file:../gone/oldml"}`)
	status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--set", "evaluator.metrics=exact_match")...)
	want := []string{
		"of killed, queued: reports go to " + dir + "/reports from now on, and no more to " + dir + "/old (it is not there any more)",
		"no more to file://" + dir + "/gone/oldml",
		"\n  tunebus replay tracking --run killed --run queued --data " + dir + "/data --reports " + dir + "/old --tracking-uri file://" + dir + "/gone/oldml",
	}
	for _, says := range want {
		if status != 0 || !strings.Contains(screen, says) {
			t.Errorf("status %d, want %q\n%s", status, says, screen)
		}
	}
}

// TestRunsStayWhereTheyBegan: runs that an earlier process began are reported and tracked where that one
// was told to, and those of this process where it is told to. A deletion finds both, and what
// other commands wrote elsewhere.
func TestRunsStayWhereTheyBegan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	leaveUnfinished(t, dir)
	clitest.Write(t, data, "places.json", `{"reports":"../old","tracking_uri":"file:../oldml"}`)
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o750); err != nil {
		t.Fatal(err)
	}
	status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--run-id", "own", "--set", "evaluator.metrics=exact_match")...)
	want := "of killed, queued: reports go to " + dir + "/old, and tracking goes to file://" + dir + "/oldml, where they began"
	if status != 0 || !strings.Contains(screen, want) || strings.Contains(screen, "no more to") {
		t.Errorf("status %d, want %q\n%s", status, want, screen)
	}
	has := func(want bool, path ...string) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(append([]string{dir}, path...)...)); (err == nil) != want {
			t.Errorf("%v is there: %t", path, !want)
		}
	}
	for _, run := range []string{"killed", "queued"} {
		has(true, "old", run, "config.toml")
		has(false, "reports", run)
		if n := len(clitest.MLflowRuns(t, filepath.Join(dir, "oldml"), run)); n == 0 {
			t.Errorf("%s is not in the MLflow where it began", run)
		}
	}
	has(true, "reports", "own", "config.toml")
	has(false, "old", "own")
	for _, folder := range []string{"old", "reports"} { // the usual place follows the last one
		if status, _, screen := clitest.Run(t, "replay", "tracking", "--run", "own", "--data", data, "--reports", filepath.Join(dir, folder)); status != 0 {
			t.Fatal(screen)
		}
	}
	clitest.Write(t, filepath.Join(dir, "old", "own"), "notes.txt", "mine")
	status, out, screen := clitest.Run(t, "delete", "own", "killed", "--yes", "--data", data)
	if status != 0 || !strings.Contains(out, "notes.txt stays: tunebus did not write it") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	has(false, "reports", "own")
	has(false, "old", "own", "config.toml")
	has(true, "old", "own", "notes.txt")
	has(false, "old", "killed")
	if list := clitest.Text(t, filepath.Join(dir, "old", "runs.txt")); strings.Contains(list, "own") || strings.Contains(list, "killed") || !strings.Contains(list, "queued") {
		t.Errorf("the list:\n%s", list)
	}
}

// TestShowOfPendingTracking: show finds the reports of a run that MLflow does not have yet, and
// says so.
func TestShowOfPendingTracking(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("away")...) })
	reports := t.TempDir()
	clitest.Write(t, folder.Dir, "places.json", `{"reports":"`+reports+`"}`)
	if err := os.Mkdir(filepath.Join(reports, "away"), 0o750); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, filepath.Join(reports, "away"), "evaluator_output_detailed.xlsx", "x")
	_, out, screen := clitest.Run(t, "show", "away", "--data", folder.Dir)
	book := filepath.Join(reports, "away", "evaluator_output_detailed.xlsx")
	for _, says := range []string{"evaluator_output_detailed.xlsx  " + book, "tracking is pending"} {
		if !strings.Contains(out+screen, says) {
			t.Errorf("want %q\n%s%s", says, out, screen)
		}
	}
	var shown struct {
		Links   map[string]string `json:"links"`
		Pending bool              `json:"tracking_pending"`
	}
	clitest.Result(t, &shown, "show", "away", "--data", folder.Dir)
	if !shown.Pending || shown.Links["evaluator_output_detailed.xlsx"] != book {
		t.Errorf("%+v", shown)
	}
}

// TestDeletedArchivedRunsAreNotCounted: an archived run that was deleted is none that is left out.
func TestDeletedArchivedRunsAreNotCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	for _, id := range []string{"a1", "a2"} {
		if status, _, screen := clitest.Run(t, evaluationOnly(t, dir, "--run-id", id, "--set", "evaluator.metrics=exact_match")...); status != 0 {
			t.Fatalf("status %d\n%s", status, screen)
		}
	}
	for _, args := range [][]string{{"archive", "--older-than", "1ns"}, {"delete", "a1", "--archived", "--yes"}} {
		if status, out, screen := clitest.Run(t, append(args, "--data", data)...); status != 0 {
			t.Fatalf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	if _, out, screen := clitest.Run(t, "runs", "--data", data); !strings.Contains(out+screen, "1 archived run is left out") {
		t.Errorf("one is left:\n%s%s", out, screen)
	}
	if status, _, screen := clitest.Run(t, "delete", "a2", "--archived", "--yes", "--data", data); status != 0 {
		t.Fatal(screen)
	}
	if _, out, screen := clitest.Run(t, "runs", "--data", data); strings.Contains(out+screen, "archived") || !strings.Contains(out+screen, "knows no runs yet") {
		t.Errorf("none is left:\n%s%s", out, screen)
	}
}
