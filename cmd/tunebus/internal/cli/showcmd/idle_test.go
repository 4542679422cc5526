package showcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestIdle: on a folder on which nobody works an open run is stopped, and one that ended
// without its tracking says what makes up for it.
func TestIdle(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("untracked")...)
		clitest.Publish(t, b, clitest.EndedRun("open")[:3]...)
	})
	status, out, screen := clitest.Run(t, "compare", "untracked", "open", "--data", f.Dir)
	if status != 0 || !strings.Contains(out, "name-of-open (open): stopped\n") {
		t.Errorf("compare: status %d, %s\n%s", status, screen, out)
	}
	again := "tunebus replay tracking --run untracked --data " + f.Dir
	if _, out, _ = clitest.Run(t, "show", "untracked", "--data", f.Dir); !strings.Contains(out, "tracking is pending: its reports are not all in ") ||
		!strings.Contains(out, " yet, which lacks pipeline_summary.json, config.toml; this makes up for it:\n  "+again+"\n") {
		t.Errorf("show:\n%s", out)
	}
	// It does not say where the reports go: the places of the folder are those of the settings.
	dir := t.TempDir()
	if status, _, screen = clitest.Run(t, append(strings.Fields(again)[1:], "--reports", dir, "--tracking-uri", "file:"+dir+"/mlruns")...); status != 0 {
		t.Errorf("status %d, %s", status, screen)
	}
	if _, out, _ = clitest.Run(t, "show", "untracked", "--data", f.Dir); strings.Contains(out, "tracking is pending") {
		t.Errorf("show:\n%s", out)
	}
}

// TestStoodAt: a run that was stopped in order stands where its last attempt ended.
func TestStoodAt(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, append(clitest.EndedRun("open")[:3], events.AttemptEnded{RunID: "open", Phase: events.Inference, Attempt: 1, Reason: events.EndShutdown, LastStep: 30})...)
		clitest.PublishProgress(t, b, events.Progress{RunID: "open", Phase: events.Inference, Attempt: 1, Step: 30, Total: 40})
	})
	if _, out, screen := clitest.Run(t, "runs", "--data", f.Dir); !strings.Contains(out, "inference stopped, 75%") {
		t.Errorf("runs:\n%s%s", out, screen)
	}
	if _, out, screen := clitest.Run(t, "show", "open", "--data", f.Dir); !strings.Contains(out, "inference: stopped at answer 30 of 40 (75 %)\n") {
		t.Errorf("show:\n%s%s", out, screen)
	}
	if status, _, screen := clitest.Run(t, "rerun", "open", "--data", f.Dir, "--resume=skip"); status != 2 || !strings.Contains(screen, "run open has stopped and not ended, and --resume=skip leaves it so") {
		t.Errorf("rerun: status %d, %s", status, screen)
	}
}
