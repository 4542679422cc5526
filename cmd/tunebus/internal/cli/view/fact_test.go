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
