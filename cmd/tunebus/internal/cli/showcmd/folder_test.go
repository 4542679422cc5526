package showcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// threeRuns is a data folder with two runs of one name and a newer third one.
func threeRuns(t *testing.T) *clitest.DataFolder {
	t.Helper()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		for id, name := range map[string]string{"ab1": "ships", "ab2": "ships"} {
			facts := clitest.EndedRun(id)
			accepted := facts[0].(events.PipelineAccepted)
			accepted.RunName = name
			facts[0] = accepted
			clitest.Publish(t, b, facts...)
		}
		clitest.Publish(t, b, clitest.EndedRun("c3")...)
	})
	return f
}

// TestShowFindsRun: a run is named by its id, the beginning of it, its name, or
// "last"; a text that fits two runs lists both.
func TestShowFindsRun(t *testing.T) {
	t.Parallel()
	f := threeRuns(t)
	for text, want := range map[string]string{"ab1": "ab1", "c": "c3", "name-of-c3": "c3", "last": "c3"} {
		var shown struct {
			RunID string `json:"run_id"`
		}
		clitest.Result(t, &shown, "show", text, "--data", f.Dir)
		if shown.RunID != want {
			t.Errorf("show %s shows %q, want %s", text, shown.RunID, want)
		}
	}
	for _, text := range []string{"ab", "ships"} {
		status, out, screen := clitest.Run(t, "show", text, "--data", f.Dir)
		if status != int(exit.CodeInput) || out != "" || !strings.Contains(screen, "ab1") || !strings.Contains(screen, "ab2") || strings.Contains(screen, "c3") {
			t.Errorf("show %s: status %d, %q, %s", text, status, out, screen)
		}
	}
}

// TestDataFolderWithoutServer: where no server answers and none was named, the
// usual data folder is used, the screen says so, and errors name the folder.
func TestDataFolderWithoutServer(t *testing.T) {
	f := threeRuns(t)
	t.Chdir(filepath.Dir(f.Dir))
	if err := os.Rename(f.Dir, "tunebus-data"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_URL", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // no up is found
	status, out, screen := clitest.Run(t, "show", "last")
	if status != 0 || !strings.Contains(out, "c3") || !strings.Contains(screen, "data folder tunebus-data") {
		t.Errorf("show: status %d, %s, %s", status, out, screen)
	}
	status, out, screen = clitest.Run(t, "runs")
	if status != 0 || !strings.Contains(out, "ab2") {
		t.Errorf("runs: status %d, %s, %s", status, out, screen)
	}
	status, _, screen = clitest.Run(t, "show", "unknown")
	if _, message, _ := strings.Cut(screen, "\n"); status != int(exit.CodeInput) || strings.Contains(message, "127.0.0.1") || !strings.Contains(message, "the data folder tunebus-data") {
		t.Errorf("show of an unknown run: status %d, %s", status, screen)
	}
	status, _, screen = clitest.Run(t, "gc", "--dry-run")
	if status != int(exit.CodeOK) || !strings.Contains(screen, "this works on the data folder tunebus-data") {
		t.Errorf("gc does not find the folder: status %d, %s", status, screen)
	}
	status, _, screen = clitest.Run(t, "runs", "--server", "nats://127.0.0.1:1")
	if status != int(exit.CodeError) || !strings.Contains(screen, "127.0.0.1:1") || !strings.Contains(screen, "start it there, name another one with --server, or a data folder with --data") {
		t.Errorf("a server that was named: status %d, %s", status, screen)
	}
}
