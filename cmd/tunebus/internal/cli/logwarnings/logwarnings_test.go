package logwarnings_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

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

// TestTellsNoFactTwice: what a fact of the run tells is no warning too.
func TestTellsNoFactTwice(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	log := slog.New(logwarnings.New(view.NewConsole(io.Discard, &screen)))
	log.Warn("not pushed to the Hub", "run", "r", "what", "model", "outcome", "failed", "reason", "why")
	if screen.Len() > 0 {
		t.Errorf("the screen shows\n%s", screen.String())
	}
}

// TestTheSameWarning: what differs by the name of a temporary file alone is shown once a minute.
func TestTheSameWarning(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	handler := logwarnings.New(view.NewConsole(io.Discard, &screen)).WithAttrs([]slog.Attr{slog.String("service", "tracker")})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for after, try := range map[time.Duration]string{0: "12", 10 * time.Second: "34", 59 * time.Second: "56"} {
		warn(t, handler, began.Add(after), "rep/.tmp-"+try+": no space left")
	}
	warn(t, handler, began.Add(time.Second), "other/.tmp-12: no space left")
	warn(t, handler, began.Add(3*time.Minute), "rep/.tmp-78: no space left")
	if got := screen.String(); strings.Count(got, "warning: run list not written") != 3 || strings.Count(got, "other/") != 1 {
		t.Errorf("the screen shows\n%s", got)
	}
}

func warn(t *testing.T, handler slog.Handler, at time.Time, err string) {
	t.Helper()
	record := slog.NewRecord(at, slog.LevelWarn, "run list not written; trying again", 0)
	record.Add("error", err)
	if err := handler.Handle(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}
