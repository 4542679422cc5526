//go:build failpoint

package failpoint_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

const child = "FAILPOINT_TEST_CHILD"

// TestDies runs the test program again. It passes some points and dies at one.
func TestDies(t *testing.T) {
	if os.Getenv(child) != "" {
		walk(t)
		return
	}
	for _, c := range []struct{ point, passed string }{
		{"started.before", "1"},
		{"started.after", "12"},
		{"started.after#2", "1234"},
		{"follow", "12345"},
		{"artifact.under_way", "123456"},
		{"ack.before", "1234567"},
		{"", "1234567"},
	} {
		name, _, _ := strings.Cut(c.point, "#")
		var stdout, stderr bytes.Buffer
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestDies")
		again.Env = append(os.Environ(), child+"=yes", failpoint.Variable+"="+c.point)
		again.Stdout, again.Stderr = &stdout, &stderr
		_ = again.Run() // the state of the process is checked below
		killed := again.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		passed, _, _ := strings.Cut(stdout.String(), "PASS")
		printed := strings.Contains(stderr.String(), failpoint.Output(failpoint.Name(name)))
		dies := c.point != "" && c.point != "ack.before"
		if killed != dies || printed != dies || strings.TrimSpace(passed) != c.passed {
			t.Errorf("%q: killed %t, passed %q and wrote %q; want %q", c.point, killed, passed, stderr.String(), c.passed)
		}
	}
}

// walk prints a digit before each point.
func walk(t *testing.T) {
	started := events.PhaseStarted{Phase: events.Finetune}
	for i, point := range []func(){
		func() { failpoint.Publishing(started) },
		func() { failpoint.Published(started) },
		func() { failpoint.Publishing(started) },
		func() { failpoint.Published(started) },
		func() { failpoint.Here(failpoint.BeforeNext) },
		func() { _, _ = io.ReadAll(failpoint.Reader(failpoint.ArtifactPartlySent, strings.NewReader("text"))) }, // it has no errors
		func() {},
	} {
		if _, err := fmt.Print(i + 1); err != nil {
			t.Fatal(err)
		}
		point()
	}
}
