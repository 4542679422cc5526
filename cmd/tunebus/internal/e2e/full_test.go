package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// shell runs a line of bash with the programs at hand and returns what was
// written and the exit status.
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

// TestNoRoomForAFile: a file that cannot be written to its end, as on a full
// disk, is an error that names it. Nothing of it stays, and the same command
// works once there is room.
func TestNoRoomForAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	command := fmt.Sprintf("tunebus run --config configs/quickstart.toml --set fine_tuner.epochs=1 --stop-after-finetuning --relaxed-sync"+
		" --data %[1]s/data --reports %[1]s/reports --tracking-uri file:%[1]s/mlruns", dir)
	out, status := shell(t, "ulimit -f 600; "+command) // in KiB; the model is larger
	if status != 1 || !strings.Contains(out, "fine_tuner.base_model_id") || !strings.Contains(out, "file too large") {
		t.Errorf("status %d\n%s", status, out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "data", "artifacts", ".partial", "*")); err != nil || len(left) > 0 {
		t.Errorf("%v stay (%v)", left, err)
	}
	if out, status := shell(t, command); status != 0 {
		t.Errorf("with room: status %d\n%s", status, out)
	}
}

// TestFoldersThatCannotBe: a folder below a file can be written by nobody, root
// included. It is bad input, found before any work is done.
func TestFoldersThatCannotBe(t *testing.T) {
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
