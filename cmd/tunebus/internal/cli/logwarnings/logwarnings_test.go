package logwarnings_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/logwarnings"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// TestRequestGivenUp: of a request that cannot be read a warning says only that it is a dead
// letter, since its rejection says why.
func TestRequestGivenUp(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	log := slog.New(logwarnings.New(view.NewConsole(io.Discard, &screen)))
	log.Warn("message not done", "error", "given up: why", "subject", "pipeline.requested")
	log.Error("request rejected: it became a dead letter", "request", 14, "reason", "why")
	log.Error("message given up", "subject", "pipeline.requested", "sequence", 14, "reason", "why")
	log.Error("message given up", "subject", "finetune.requested.r", "sequence", 3, "reason", "why")
	want := "warning: message given up (subject pipeline.requested, sequence 14)\n" +
		"warning: message given up (subject finetune.requested.r, sequence 3, reason why)"
	if got := strings.TrimSpace(screen.String()); got != want {
		t.Errorf("the screen shows\n%s", got)
	}
}
