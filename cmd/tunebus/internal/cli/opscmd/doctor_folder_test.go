package opscmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestDoctorFolder: how much a data folder holds, each file once, and what could go.
func TestDoctorFolder(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	kept := f.Put(t, "r", "kept.jsonl", strings.Repeat("x", 5000))
	f.Put(t, "nobody", "left.jsonl", "x")
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r", kept)...) })
	if err := os.Mkdir(filepath.Join(f.Dir, "mlruns"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(f.Dir, "artifacts", kept.Reference.Key), filepath.Join(f.Dir, "mlruns", "model")); err != nil {
		t.Fatal(err)
	}
	var found []struct{ Name, State, Says, Do string }
	clitest.Result(t, &found, "doctor", "--data", f.Dir)
	says := map[string]string{}
	for _, one := range found {
		says[one.Name] = one.State + ": " + one.Says + "; " + one.Do
	}
	for name, words := range map[string][]string{
		"data folder": {f.Dir + " holds ", "artifacts 5,0"},
		"gc":          {"0 bytes that no run refers to"}, // a day has not passed
		"delete":      {"5,000 bytes of 1 run that has ended", "the most r with 5,000 bytes", `"tunebus delete r --dry-run"`},
	} {
		for _, word := range words {
			if !strings.Contains(says[name], word) {
				t.Errorf("%s: no %q in %q", name, word, says[name])
			}
		}
	}
	if strings.Contains(says["data folder"], "mlruns") {
		t.Errorf("a file with two names counts twice: %s", says["data folder"])
	}
	if _, ok := says["NATS"]; ok {
		t.Error("a folder without a server needs none")
	}
}

// TestDoctorArchivedRuns: what archived runs hold can be deleted, too, and doctor says how.
func TestDoctorArchivedRuns(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	kept := f.Put(t, "r", "kept.jsonl", strings.Repeat("x", 5000))
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("r", kept)...)
		clitest.Publish(t, b, events.TrackingCompleted{RunID: "r"})
	})
	if status, out, screen := clitest.Run(t, "archive", "--older-than", "0s", "--data", f.Dir); status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	_, out, _ := clitest.Run(t, "delete", "r", "--archived", "--dry-run", "--data", f.Dir)
	var artifacts, archive int64
	_, said, _ := strings.Cut(strings.ReplaceAll(out, ",", ""), "1 run with ")
	if _, err := fmt.Sscanf(said, "6 facts 1 artifact (%d bytes) and 1 archive (%d bytes)", &artifacts, &archive); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var found []struct{ Name, Says, Do string }
	clitest.Result(t, &found, "doctor", "--data", f.Dir)
	for _, one := range found {
		if one.Name != "delete" {
			continue
		}
		if !strings.Contains(one.Says, "0 bytes of 0 runs that have ended; "+events.Count(artifacts+archive)+" bytes of 1 archived run, the most r with ") ||
			!strings.Contains(one.Do, `"tunebus delete r --archived --dry-run"`) {
			t.Errorf("%s; %s", one.Says, one.Do)
		}
	}
}
