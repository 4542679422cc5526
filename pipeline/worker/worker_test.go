package worker

import (
	"errors"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// TestParseJob: a message that is no job of the phase becomes a dead letter.
func TestParseJob(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event events.Event
		ok    bool
	}{
		"job":                  {job, true},
		"job of another phase": {events.PhaseRequested{RunID: "r", Phase: events.Inference}, false},
		"another event":        {started(1), false},
		"no event":             {nil, false},
	} {
		got, err := parseJob(delivery.Delivery{Message: codec.Message{Event: c.event, Subject: "s"}}, events.Finetune)
		if _, dead := errors.AsType[*delivery.DeadLetterError](err); dead == c.ok || c.ok && got.RunID != "r" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
