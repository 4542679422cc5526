package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// shell runs a line of bash with the programs in its PATH, and returns its output and
// its exit status.
func shell(t *testing.T, line string) (string, int) {
	t.Helper()
	bin, err := programs.Dir()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "bash", "-c", line)
	c.Dir = processes.Root()
	c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + t.TempDir()}
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// TestRunOnFullDisk: if a file cannot be written to its end, as on a full disk, the
// error names the file, and no part of it stays. The same command works once there is
// space.
func TestRunOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	command := fmt.Sprintf("tunebus run --config configs/quickstart.toml --set fine_tuner.epochs=1 --stop-after-finetuning --relaxed-sync --copy-inputs"+
		" --data %[1]s/data --reports %[1]s/reports --tracking-uri file:%[1]s/mlruns", dir)
	out, status := shell(t, "ulimit -f 600; "+command) // in KiB; the model is larger
	if status != 1 || !strings.Contains(out, "fine_tuner.base_model_id") || !strings.Contains(out, "file too large") {
		t.Errorf("status %d\n%s", status, out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "data", "artifacts", ".partial", "*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
	if out, status := shell(t, command); status != 0 {
		t.Errorf("with space: status %d\n%s", status, out)
	}
}

// TestRunWithUnusableFolders: a folder below a file cannot be created, not even by
// root. That is an input error, which is found before any work is done.
func TestRunWithUnusableFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		flags, want string
		status      int
	}{
		{"--data /dev/null/data --reports " + dir + "/r", "data folder /dev/null/data", 2},
		{"--data " + dir + "/d --reports /dev/null/reports", "folder of the reports", 2},
	} {
		out, status := shell(t, "tunebus run --config configs/quickstart.toml --tracking-uri file:"+dir+"/m "+c.flags)
		if status != c.status || !strings.Contains(out, c.want) || strings.Contains(out, "started") {
			t.Errorf("%s: status %d\n%s", c.flags, status, out)
		}
	}
}
