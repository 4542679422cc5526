package worker

import (
	"context"
	"errors"
	"strings"
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

// localStore is the store of the worker's local inputs.
type localStore string

func (s localStore) StoreID() string { return string(s) }

func (localStore) Find(context.Context, events.Reference, []string) (string, error) { return "", nil }

// TestCheckStore: every input has to lie in the worker's store, or on the machine
// of its data folder.
func TestCheckStore(t *testing.T) {
	t.Parallel()
	mine, another := events.Reference{Store: "local:m", Key: "/k"}, events.Reference{Store: "local:store b", Key: "/k"}
	here, there := events.Reference{Store: "a", Key: "k"}, events.Reference{Store: "b", Key: "k"}
	for name, c := range map[string]struct {
		in events.Inputs
		ok bool
	}{
		"none":           {events.Inputs{}, true},
		"all here":       {events.Inputs{Model: &here, Files: map[string]events.Reference{"x": here}}, true},
		"model":          {events.Inputs{Model: &there}, false},
		"predictions":    {events.Inputs{Predictions: &there}, false},
		"baseline":       {events.Inputs{BaselinePredictions: &there}, false},
		"local file":     {events.Inputs{Files: map[string]events.Reference{"x": mine}}, true},
		"elsewhere":      {events.Inputs{Files: map[string]events.Reference{"x": another}}, false},
		"uploaded files": {events.Inputs{Model: &here, Files: map[string]events.Reference{"x": there}}, false},
	} {
		err := checkStore(c.in, "a", localStore("local:m"))
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "store b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
