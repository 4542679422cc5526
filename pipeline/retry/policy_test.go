package retry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestPolicyUsedUp: errors count as tries, attempts without an end or without
// progress as crashes, shutdowns and lost jobs against nothing.
func TestPolicyUsedUp(t *testing.T) {
	t.Parallel()
	attempt := func(n int, reason events.EndReason) events.Attempt {
		a := events.Attempt{Number: n, Started: &events.PhaseStarted{Attempt: n}}
		if reason != "" {
			a.Ended = &events.AttemptEnded{Attempt: n, Reason: reason}
		}
		if reason == "stuck" {
			a.Ended.Reason, a.Ended.Error = events.EndLost, &events.Problem{Code: events.CodeStalled, Message: fmt.Sprintf("no progress while reading x at %d", n)}
		}
		if reason == "stalled" {
			a.Ended.LastStep = int64(n) // each of them got further
			a.Ended.Reason, a.Ended.Error = events.EndLost, &events.Problem{Code: events.CodeStalled, Message: fmt.Sprintf("no progress in the stage train at %d", n)}
		}
		if reason == events.EndError {
			a.Ended.Error = &events.Problem{Code: "oom", Message: fmt.Sprintf("out of memory at %d", n)}
		}
		return a
	}
	stuck := events.EndReason("stuck") // always at the same place
	e, s, silent, lost, stalled := events.EndError, events.EndShutdown, events.EndReason(""), events.EndLost, events.EndReason("stalled")
	for _, c := range []struct {
		had            []events.EndReason
		tries, crashes int // of the specification; 0: the default
		code, message  string
	}{
		{nil, 0, 0, "", ""},
		{[]events.EndReason{e, e}, 0, 0, "", ""},
		{[]events.EndReason{e, e, e}, 0, 0, "oom", "gave up after 3 tries: out of memory at 3"},
		{[]events.EndReason{e}, 1, 0, "oom", "gave up after 1 tries: out of memory at 1"},
		{[]events.EndReason{e, e, e}, 4, 0, "", ""},
		{[]events.EndReason{s, s, s, s, s, s, s}, 1, 1, "", ""},
		{[]events.EndReason{silent, silent, silent, silent}, 0, 0, "", ""},
		{[]events.EndReason{silent, s, silent, e, silent, silent, silent}, 0, 0, "crashed", "gave up after 5 attempts"},
		{[]events.EndReason{silent, silent}, 0, 2, "crashed", "gave up after 2 attempts"},
		{[]events.EndReason{lost, lost, lost}, 1, 1, "", ""},
		{[]events.EndReason{stalled, stalled, stalled, stalled}, 0, 0, "", ""},
		{[]events.EndReason{stalled, e, stalled, lost}, 0, 2, "stalled", "gave up after 2 attempts that came to a standstill, the last one behind step 3: no progress in the stage train at 3"},
		{[]events.EndReason{silent, stalled, silent}, 0, 3, "stalled", "gave up after 1 attempts that came to a standstill, the last one behind step 2: no progress in the stage train at 2; 2 more ended without a word"},
		{[]events.EndReason{stuck, stuck}, 0, 2, "stalled", "gave up after 2 attempts that made no progress; the last one: no progress while reading x at 2"},
		{[]events.EndReason{stuck, stuck}, 0, 0, "", ""},
		{[]events.EndReason{stuck, stuck, stuck}, 0, 0, "stalled", "gave up after 3 attempts in a row that made no progress and got no further; the last one: no progress while reading x at 3"},
		{[]events.EndReason{stuck, stuck, stuck}, 0, 9, "stalled", "gave up after 3 attempts in a row"},
		{[]events.EndReason{stuck, s, stuck, stuck}, 0, 0, "", ""},
		{[]events.EndReason{stuck, stalled, stuck, stuck}, 0, 0, "", ""},
		{[]events.EndReason{e, stalled}, 1, 0, "oom", "gave up after 1 tries: out of memory at 1"},
	} {
		var req events.PhaseRequested
		req.Specification.Pipeline.MaxTries, req.Specification.Pipeline.MaxCrashes = c.tries, c.crashes
		var state events.PhaseState
		for i, reason := range c.had {
			state.Attempts = append(state.Attempts, attempt(i+1, reason))
		}
		err := NewPolicy(req, 0).UsedUp(&state)
		if c.code == "" {
			if err != nil {
				t.Errorf("%v: %v", c.had, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%v: another attempt may work", c.had)
			continue
		}
		if p := engine.Problem(err); p.Code != c.code || !strings.HasPrefix(p.Message, c.message) {
			t.Errorf("%v: %+v", c.had, p)
		}
	}
}

// TestPolicyDelay: the delay between two tries doubles, varies by a half,
// and stays below the limit, whatever the specification asks for.
func TestPolicyDelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked     string
		longest   time.Duration
		tries     int
		low, high time.Duration
	}{
		{"", 0, 1, 5 * time.Second, 7500 * time.Millisecond},
		{"", 0, 2, 10 * time.Second, 15 * time.Second},
		{"2s", 0, 3, 8 * time.Second, 12 * time.Second},
		{"2s", 0, 7, 128 * time.Second, 192 * time.Second},
		{"2s", 0, 1000, 128 * time.Second, 192 * time.Second},
		{"2s", 9 * time.Second, 3, 6 * time.Second, 9 * time.Second},
		{"2s", 9 * time.Second, 30, 6 * time.Second, 9 * time.Second},
		{"1h", time.Minute, 1, 40 * time.Second, time.Minute},
		{"2000000h", 0, 20, 1, 1<<63 - 1},
	} {
		var req events.PhaseRequested
		req.Specification.Pipeline.Backoff = c.asked
		least, most := time.Duration(1<<63-1), time.Duration(0)
		for range 2000 {
			d := NewPolicy(req, c.longest).Delay(c.tries)
			least, most = min(least, d), max(most, d)
		}
		if least < c.low || most > c.high {
			t.Errorf("%q after %d tries: %s to %s, want %s to %s", c.asked, c.tries, least, most, c.low, c.high)
		}
		if most-least < (c.high-c.low)/2 && c.high < time.Hour {
			t.Errorf("%q after %d tries: it hardly varies, %s to %s", c.asked, c.tries, least, most)
		}
	}
}
