package view_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// TestFact: a line tells the reason of an attempt's end and of a cancel, where
// there is one.
func TestFact(t *testing.T) {
	t.Parallel()
	for want, fact := range map[string]events.Event{
		"finetune   attempt 2 ended, reason lost: it stalled": events.AttemptEnded{
			Phase: events.Finetune, Attempt: 2, Reason: events.EndLost, Error: &events.Problem{Message: "it stalled"},
		},
		"finetune   cancelled after 0.0 s":  events.PhaseCompleted{Phase: events.Finetune, Attempt: 1, Conclusion: events.Cancelled},
		"cancel requested":                  events.CancelRequested{},
		"cancel requested: the wrong model": events.CancelRequested{Reason: "the wrong model"},
	} {
		var screen bytes.Buffer
		view.NewConsole(&bytes.Buffer{}, &screen).Fact(fact)
		if got := strings.TrimSuffix(screen.String(), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestFactOfIntake: a phase that intake ends in the place of a worker was not started by that,
// and has no time.
func TestFactOfIntake(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	c := view.NewConsole(&bytes.Buffer{}, &screen)
	c.Fact(events.PhaseStarted{Phase: events.Finetune, Attempt: 1, Worker: events.IntakeWorker})
	c.Fact(events.PhaseCompleted{Phase: events.Finetune, Attempt: 1, Conclusion: events.Cancelled})
	if got, want := screen.String(), "finetune   cancelled\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
