package projection

import (
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// TestAttemptTags: every attempt has its tag, and a tag changes only while its
// attempt goes on.
func TestAttemptTags(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	full := &events.Problem{Code: "disk_full", Message: "no space left"}
	facts := []events.Fact{
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "gpu-3", Engine: "builtin", StartedAt: at(1)},
		events.AttemptEnded{RunID: "r", Phase: events.Finetune, Attempt: 1, Reason: events.EndError, Error: full, LastStep: 40, EndedAt: at(2)},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "gpu-4", Engine: "builtin", ResumedFrom: 20, StartedAt: at(3)},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 3, Worker: "gpu-4", Engine: "builtin", ResumedFrom: 20, StartedAt: at(4)},
		events.AttemptEnded{RunID: "r", Phase: events.Finetune, Attempt: 3, Reason: events.EndShutdown, LastStep: 60, EndedAt: at(5)},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 4, Worker: "old"},
		events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 4, Conclusion: events.Success, StartedAt: at(6), EndedAt: at(7)},
	}
	tags := func(n int) []mlflow.Tag { return attemptTags(events.Fold(facts[:n]).Phases[events.Finetune]) }
	want := []mlflow.Tag{
		{Key: "tunebus.attempt.1", Value: "error (disk_full: no space left) at step 40; worker gpu-3, builtin; 2026-01-02T03:01:00Z to 2026-01-02T03:02:00Z"},
		{Key: "tunebus.attempt.2", Value: "crashed; worker gpu-4, builtin; resumed from step 20; since 2026-01-02T03:03:00Z"},
		{Key: "tunebus.attempt.3", Value: "shutdown at step 60; worker gpu-4, builtin; resumed from step 20; 2026-01-02T03:04:00Z to 2026-01-02T03:05:00Z"},
		{Key: "tunebus.attempt.4", Value: "success; worker old; 2026-01-02T03:06:00Z to 2026-01-02T03:07:00Z"},
	}
	if got := tags(len(facts)); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got := tags(1); len(got) != 1 || got[0].Value != "running; worker gpu-3, builtin; since 2026-01-02T03:01:00Z" {
		t.Errorf("while it goes on: %q", got)
	}
	for n := 4; n <= len(facts); n++ {
		if got := tags(n); !slices.Equal(got[:2], want[:2]) {
			t.Errorf("after %d facts: %q", n, got)
		}
	}
	if got := attemptTags(nil); len(got) != 0 {
		t.Errorf("without an attempt: %q", got)
	}
}
