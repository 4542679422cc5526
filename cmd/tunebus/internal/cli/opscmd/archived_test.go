package opscmd_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestOnlyArchivedRuns: where all runs are archived or deleted, runs and last say so.
func TestOnlyArchivedRuns(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"first", "second", "third"} {
			clitest.Publish(t, b, clitest.EndedRun(run)...)
			clitest.Publish(t, b, events.TrackingCompleted{RunID: run, Links: map[string]string{"config.toml": f.Dir + "/removed/" + run + "/config.toml"}})
		}
	})
	ok := func(args ...string) (out, screen string) {
		t.Helper()
		status, out, screen := clitest.Run(t, append(args, "--data", f.Dir)...)
		if status != 0 {
			t.Fatalf("%v: status %d\n%s%s", args, status, out, screen)
		}
		return out, screen
	}
	ok("delete", "third", "--yes")
	ok("archive", "--older-than", "0s")
	out, screen := ok("runs")
	if !strings.Contains(out, "knows only archived runs") || !strings.Contains(screen, `2 archived runs are left out; "tunebus runs --archived --data`) {
		t.Errorf("runs: %s%s", out, screen)
	}
	if out, screen := ok("runs", "--archived"); !strings.Contains(out, "first") || strings.Contains(screen, "left out") {
		t.Errorf("runs --archived: %s%s", out, screen)
	}
	status, _, screen := clitest.Run(t, "show", "last", "--data", f.Dir)
	if status != 2 || !strings.Contains(screen, "2 are archived and 1 deleted") {
		t.Errorf("show last: status %d\n%s", status, screen)
	}
}

// TestArchiveWaits: archiving waits for another one that works, or that was killed a
// moment ago.
func TestArchiveWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := clitest.Up(t, dir)
	b := clitest.Connect(t, conn.Options{URL: url, Name: "test"})
	taken, release := make(chan struct{}), make(chan struct{})
	other := make(chan error, 1)
	go func() {
		other <- archive.Exclusive(t.Context(), b, func(context.Context) error {
			close(taken)
			<-release
			return nil
		})
	}()
	<-taken
	var once bool
	screen := writerFunc(func(p []byte) {
		if strings.Contains(string(p), "waiting for it") && !once {
			once = true
			close(release)
		}
	})
	if status := clitest.RunOn(t, screen, "archive", "--older-than", "0s", "--server", url, "--artifacts", "file://"+dir+"/data/artifacts"); status != 0 || !once {
		t.Errorf("status %d, said %t", status, once)
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
}

// writerFunc is a screen.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
