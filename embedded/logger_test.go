package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// TestLoggerOfAStart: what the server warns of while it starts is no warning: it recovers the
// store of a process that was killed.
func TestLoggerOfAStart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logger{slog.New(slog.NewTextHandler(&out, nil)), make(chan error, 1), new(atomic.Bool)}
	l.Warnf("recovering %s", "a block")
	l.ready.Store(true)
	l.Warnf("slow consumer")
	if lines := strings.Split(out.String(), "\n"); !strings.Contains(lines[0], `level=INFO msg="nats-server: recovering a block"`) || !strings.Contains(lines[1], "level=WARN") {
		t.Errorf("the log is\n%s", &out)
	}
}
