package runcmd_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestHintsKeepPlaces: the command that goes on with an interrupted run has its reports and its
// tracking go where the run had them. The command that has another process work on a run keeps
// the run's id, and says what that process does not take.
func TestHintsKeepPlaces(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	t.Chdir(dir)
	clitest.Write(t, dir, "run.toml", trainable(t))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var out, screen bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"run", "run.toml", "--run-id", "first", "--reports", "rep", "--tracking-uri", "file:./ml"}, &out, &screen)
	}()
	clitest.Eventually(t, "the run is worked on", func() bool {
		_, shown, _ := clitest.Run(t, "logs", "first")
		return strings.Contains(shown, "started by")
	})
	_, _, said := clitest.Run(t, "run", "run.toml", "--run-id", "zz1", "--reports", "rep2", "--tracking-uri", "file:./m2", "--label", "x=y")
	want := "\n  tunebus submit --config run.toml --label x=y --run-id zz1\n" +
		"Its reports and its tracking go where that process was told to put them: submit has no --reports and no --tracking-uri\n"
	if !strings.Contains(said, want) {
		t.Errorf("beside it, want %q, got\n%s", want, said)
	}
	cancel()
	<-done
	if want := "\n  tunebus up --data tunebus-data --reports rep --tracking-uri file:./ml\n"; !strings.Contains(screen.String(), want) {
		t.Errorf("want %q, got\n%s", want, screen.String())
	}
}

// TestArchiveLooksAtInputsOfItsFolder: on a data folder of this machine, inputs that stayed where
// they were are looked at.
func TestArchiveLooksAtInputsOfItsFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	t.Chdir(dir)
	clitest.Write(t, dir, "run.toml", trainable(t))
	if status, _, screen := clitest.Run(t, "run", "run.toml", "--skip-finetuning", "--run-id", "first", "--relaxed-sync"); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	status, out, screen := clitest.Run(t, "archive", "--older-than", "0s", "--dry-run")
	if text := out + screen; status != 0 || !strings.Contains(text, "first") || strings.Contains(text, "cannot be looked at") {
		t.Errorf("status %d\n%s", status, text)
	}
}
