package opscmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestFlagsBeforeDeletion: a flag that is wrong is said before anything is deleted, and no
// password of an address is shown.
func TestFlagsBeforeDeletion(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	for _, args := range [][]string{
		{"delete", "r", "--yes", "--tracking-uri", "http://u:hush@127.0.0.1:1"},
		{"delete", "r", "--yes", "--tracking-uri", "http://127.0.0.1:1/?token=hush"},
		{"delete", "r", "--yes", "--tracking-uri", ""},
		{"gc", "--dry-run", "--artifacts", "jetstream://u:hush@b"},
		{"delete", "r", "--yes", "--artifacts", "s3://key:hush@bucket"},
		{"delete", "r", "--yes", "--artifacts", "ftp://nonsense/x?key=hush"},
		{"show", "r", "--artifacts", "nonsense"},
		{"setup", "--replicas", "0", "--server", "nats://127.0.0.1:1"},
		{"show", "r", "--context", ""},
	} {
		if args[0] == "delete" || args[0] == "gc" {
			args = append(args, "--data", f.Dir)
		}
		if status, out, screen := clitest.Run(t, args...); status != 2 || strings.Contains(out+screen, "hush") {
			t.Errorf("%q: status %d\n%s%s", args, status, out, screen)
		}
	}
	if status, _, screen := f.run(t, "show", "r"); status != 0 {
		t.Errorf("show: status %d\n%s", status, screen)
	}
}
