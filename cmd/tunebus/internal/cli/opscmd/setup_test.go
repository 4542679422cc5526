package opscmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
)

// TestSetupWithTooLittleStorage: the error names how much the stream needs, how much is left,
// and what to do. Nothing is left of the search for that.
func TestSetupWithTooLittleStorage(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0", MaxBytes: 3 << 30})
	status, out, screen := clitest.Run(t, "setup", "--server", server.URL())
	for _, want := range []string{
		"stream TUNEBUS needs 4,294,967,296 bytes, and the server has 2,147,483,648 left", "all streams of tunebus need 7,", "raise max_file_store",
	} {
		if status != 1 || out != "" || !strings.Contains(screen, want) {
			t.Errorf("no %q, status %d\n%s%s", want, status, out, screen)
		}
	}
	large := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0", MaxBytes: 8 << 30})
	if status, out, screen := clitest.Run(t, "setup", "--server", large.URL()); status != 0 {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
}
