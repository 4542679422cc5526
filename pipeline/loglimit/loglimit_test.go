package loglimit

import (
	"bytes"
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
