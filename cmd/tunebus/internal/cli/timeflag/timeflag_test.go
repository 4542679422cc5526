package timeflag

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "0s": 0, "0d": 0, "1h30m": 90 * time.Minute,
	} {
		if got, err := parse(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "90", "-1d", "-3h", "1e9d", "NaNd", "90 days", "1d2d", "h"} {
		if got, err := parse(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
	a := Age(90 * day)
	if a.String() != "90d" {
		t.Errorf("written as %s", a.String())
	}
}

// TestWait: nobody waits for less than no time.
func TestWait(t *testing.T) {
	t.Parallel()
	var d time.Duration
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	WaitVar(flags, &d, "timeout", 30*time.Second, "longest wait")
	if d != 30*time.Second {
		t.Errorf("the default is %s", d)
	}
	for _, text := range []string{"-5s", "-1ns", "soon", ""} {
		if err := flags.Parse([]string{"--timeout=" + text}); err == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
	if err := flags.Parse([]string{"--timeout=90s"}); err != nil || d != 90*time.Second {
		t.Errorf("%s, %v", d, err)
	}
}

func TestPoint(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), "2026-01-31T08:00:00+02:00": time.Date(2026, 1, 31, 6, 0, 0, 0, time.UTC),
		"1d": now.AddDate(0, 0, -1), "90m": now.Add(-90 * time.Minute),
	} {
		if got, err := Point("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if got, err := Point("--since", "yesterday", now); err == nil {
		t.Errorf("yesterday is %s", got)
	}
}
