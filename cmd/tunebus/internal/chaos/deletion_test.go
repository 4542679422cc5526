package chaos_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// deletionPoints are the points of "tunebus delete".
func deletionPoints() []failpoint.Name {
	return []failpoint.Name{failpoint.BeforeDeleted, failpoint.AfterDeleted, failpoint.DeletedArtifacts, failpoint.DeletedArchive, failpoint.DeletedReports}
}

// TestKilledDeletion kills "tunebus delete" at each of its points. Until the deletion
// is stored the run is whole; from then on no list has it, and the same command
// finishes the work.
func TestKilledDeletion(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{false, true} {
		for _, point := range deletionPoints() {
			name := string(point)
			if archived {
				name += " of an archived run"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				testKilledDeletion(t, point, archived)
			})
		}
	}
}

func testKilledDeletion(t *testing.T, point failpoint.Name, archived bool) {
	t.Helper()
	f := clitest.NewDataFolder(t)
	dir := filepath.Dir(f.Dir)
	tracking := []string{"--data", f.Dir, "--tracking-uri", "file:" + dir + "/mlruns", "--reports", dir + "/reports"}
	f.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"other", "victim"} {
			clitest.Publish(t, b, clitest.EndedRun(run, f.Put(t, run, "x.jsonl", "x"))...)
		}
	})
	if status, _, screen := clitest.Run(t, append([]string{"replay", "tracking"}, tracking...)...); status != 0 {
		t.Fatal(screen)
	}
	if archived {
		if status, _, screen := clitest.Run(t, "archive", "--older-than", "0s", "--data", f.Dir); status != 0 {
			t.Fatal(screen)
		}
	}
	command := append([]string{"delete", "name-of-victim", "--archived", "--yes"}, tracking...)
	p := withFailpoints.Start(t, dir, processes.Tunebus, []string{failpoint.Variable + "=" + string(point)}, command...)
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
	}
	if !p.Killed() {
		t.Fatalf("not killed at %s:\n%s", point, p.Log)
	}
	status, out, screen := clitest.Run(t, "runs", "--archived", "--data", f.Dir)
	if listed := strings.Contains(out, "victim"); status != 0 || listed != (point == failpoint.BeforeDeleted) || !strings.Contains(out, "other") {
		t.Errorf("runs: status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, command...); status != 0 {
		t.Fatalf("delete again: status %d\n%s", status, screen)
	}
	f.WithServer(t, func(b *conn.Conn) {
		if types, _ := clitest.FactTypes(t, b, "victim"); types != events.TypePipelineDeleted+" "+events.TypeTrackingCompleted {
			t.Errorf("left are %s", types)
		}
	})
	if list := clitest.Text(t, dir+"/reports/runs.txt"); strings.Contains(list, "victim") || !strings.Contains(list, "other") {
		t.Errorf("the list of runs:\n%s", list)
	}
	if _, err := os.Stat(dir + "/reports/victim"); err == nil {
		t.Error("the reports are left")
	}
	tagged, err := filepath.Glob(dir + "/mlruns/*/*/tags/tunebus.deleted")
	if err != nil || len(tagged) != 2 { // the run and its phase
		t.Errorf("tagged are %v, %v", tagged, err)
	}
	for prefix, want := range map[string]int{"runs/victim/": 0, "archive/victim/": 0, "runs/other/": 1} {
		if n := objects(t, f.Store, prefix); n != want {
			t.Errorf("%d objects below %s, want %d", n, prefix, want)
		}
	}
}

func objects(t *testing.T, store *artifact.Store, prefix string) (n int) {
	t.Helper()
	for _, err := range store.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
