package runcmd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestFoldersWithOddNames: the characters of a folder's name that mean something in an address
// lead to no other folder, neither that of the data nor that of MLflow, reports and working folder.
func TestFoldersWithOddNames(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	above := t.TempDir()
	working := filepath.Join(above, "w?d#%41 ü")
	if err := os.Mkdir(working, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(working)
	clitest.Write(t, working, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada.","answer":"Ada."}`)
	for _, data := range []string{"a?b#c", "p%41q", "100%", "x@y:1"} {
		var end clitest.Summary
		clitest.Result(t, &end, "run", "--predictions", "answers.jsonl", "--data", data, "--set", "evaluator.metrics=exact_match")
		if _, err := os.Stat(filepath.Join(data, "artifacts", "runs", end.RunID)); err != nil {
			t.Errorf("--data %s: the artifacts are not in the folder: %v", data, err)
		}
		for _, args := range [][]string{{"show", "last"}, {"gc", "--dry-run"}, {"doctor"}, {"delete", "last", "--yes"}} {
			if status, out, screen := clitest.Run(t, append(args, "--data", data)...); status != 0 {
				t.Errorf("%v --data %s: status %d\n%s%s", args, data, status, out, screen)
			}
		}
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
	for folder, want := range map[string][]string{above: {filepath.Base(working)}, working: {"answers.jsonl", "mlruns", "reports"}} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if i >= len(want) || e.Name() != want[i] {
				t.Errorf("%s has %v, want %v", folder, entries, want)
				break
			}
		}
	}
}
