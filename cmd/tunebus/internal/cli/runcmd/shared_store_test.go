package runcmd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestSharedStore: what is removed in one data folder takes nothing from the runs of another one
// with the same store, not even from one of the same id.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	clitest.Write(t, dir, "settings.toml", "[artifacts]\nurl = \"file://"+store+"\"\n")
	on := func(data string, args ...string) (int, string, string) {
		t.Helper()
		return clitest.Run(t, append(args, "--settings", filepath.Join(dir, "settings.toml"), "--data", filepath.Join(dir, data, "data"))...)
	}
	for _, data := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, data), 0o750); err != nil {
			t.Fatal(err)
		}
		for _, run := range []string{"nightly", "run-of-" + data} {
			args := append(evaluationOnly(t, filepath.Join(dir, data), "--run-id", run), "--settings", filepath.Join(dir, "settings.toml"), "--set", "evaluator.metrics=exact_match")
			if status, _, screen := clitest.Run(t, args...); status != 0 {
				t.Fatalf("status %d\n%s", status, screen)
			}
		}
	}
	stored := func() (n int) {
		t.Helper()
		err := filepath.WalkDir(store, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := stored()
	status, _, screen := on("one", "gc", "--grace", "0s")
	other := "the data folder " + filepath.Join(dir, "two", "data")
	if status != 1 || !strings.Contains(screen, "nothing was removed") || !strings.Contains(screen, other) || stored() != before {
		t.Errorf("gc: status %d, %d objects of %d\n%s", status, stored(), before, screen)
	}
	status, out, screen := on("one", "delete", "nightly", "--yes", "--reports", filepath.Join(dir, "one", "reports"))
	if status != 0 || !strings.Contains(out, "the runs of "+other) || stored() != before {
		t.Errorf("delete: status %d, %d objects of %d\n%s%s", status, stored(), before, out, screen)
	}
	if status, _, screen := on("two", "rerun", "nightly", "--from", "evaluation"); status != 0 {
		t.Errorf("the other run: status %d\n%s", status, screen)
	}
	if status, _, screen := on("two", "archive", "--older-than", "1ns"); status != 0 {
		t.Fatal(screen)
	}
	status, _, screen = on("one", "delete", "run-of-two", "--archived", "--yes")
	if status != 2 || !strings.Contains(screen, "may be a run of another") {
		t.Errorf("its archive: status %d\n%s", status, screen)
	}
	if status, out, screen := on("one", "doctor"); !strings.Contains(out, other) {
		t.Errorf("doctor: status %d\n%s%s", status, out, screen)
	}
	if err := os.RemoveAll(filepath.Join(store, "users")); err != nil { // as the error says
		t.Fatal(err)
	}
	if status, _, screen := on("one", "gc", "--dry-run"); status != 0 {
		t.Errorf("alone: status %d\n%s", status, screen)
	}
}
