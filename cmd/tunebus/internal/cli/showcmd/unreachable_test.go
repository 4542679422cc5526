package showcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestUnreachableServer: the error names the server without its password.
func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	status, _, screen := clitest.Run(t, "runs", "--server", "nats://user:hush@127.0.0.1:1")
	if status != 1 || !strings.Contains(screen, "127.0.0.1:1") || strings.Contains(screen, "hush") {
		t.Errorf("status %d\n%s", status, screen)
	}
}
