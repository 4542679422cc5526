package loglimit

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSameLineOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
		lines := func() int { return strings.Count(out.String(), "\n") }
		for delivery := range 100 {
			log.Warn("message not done", "run", "r1", "delivery", delivery)
			time.Sleep(100 * time.Millisecond)
		}
		if lines() != 1 {
			t.Errorf("written %d times within 10 s, want once:\n%s", lines(), &out)
		}
		log.Warn("message not done", "run", "r2", "delivery", 1)
		log.Error("message not done", "run", "r1", "delivery", 1)
		log.With("service", "intake").Warn("message not done", "run", "r1")
		log.WithGroup("g").Warn("message not done", "run", "r1")
		log.Debug("message not done", "run", "r3")
		if lines() != 5 {
			t.Errorf("%d lines, want 5 different ones:\n%s", lines(), &out)
		}
		time.Sleep(interval)
		out.Reset()
		log.Warn("message not done", "run", "r1", "delivery", 101)
		if !strings.Contains(out.String(), "repeated=99") {
			t.Errorf("after a minute: %q, want the number of lines that were left out", &out)
		}
	})
}

// TestTriesAreTheSameLine: what differs with each try alone makes no other line.
func TestTriesAreTheSameLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(New(slog.NewTextHandler(&out, nil)))
		for try := range 10 {
			delay := time.Second << min(try, 3)
			log.Error("the stream is full; trying again", "subject", "a.b", "try", try)
			log.Warn("the store is away; trying again", "what", "store k", "delay", delay)
			log.Warn("the Hub is away; trying again", "what", "model m", "in", delay)
			log.Warn("tracking is pending", "run", "r", "retry_in", delay)
			log.Warn("waiting for NATS", "error", fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:4222: connection reset by peer", 35000+try))
			log.Warn("file not written", "error", fmt.Errorf("open reports/.tmp-%d: read-only file system", 35000+try))
			time.Sleep(time.Second) // of the bubble's clock
		}
		if n := strings.Count(out.String(), "\n"); n != 6 {
			t.Errorf("%d lines, want each of the 6 once:\n%s", n, &out)
		}
		log.Warn("waiting for NATS", "error", "read tcp 127.0.0.1:35000->127.0.0.1:4223: connection reset by peer")
		if n := strings.Count(out.String(), "\n"); n != 7 {
			t.Errorf("%d lines, want another one for another server:\n%s", n, &out)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New(slog.DiscardHandler).(*handler)
		for n := range 3 * maxLines {
			h.lines.count(strings.Repeat("x", n%100) + string(rune(n)))
		}
		if n := len(h.lines.byHash); n > maxLines {
			t.Errorf("%d lines are remembered, want at most %d", n, maxLines)
		}
	})
}
