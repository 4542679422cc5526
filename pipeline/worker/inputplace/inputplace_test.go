package inputplace_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/worker/inputplace"
)

// localStore is the store of the worker's local inputs.
type localStore string

func (s localStore) StoreID() string { return string(s) }

func (localStore) Find(context.Context, events.Reference, []string) (string, error) { return "", nil }

// TestCheck: every input has to lie in the worker's store, or on the machine
// of its data folder.
func TestCheck(t *testing.T) {
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
		err := inputplace.Check(c.in, "a", localStore("local:m"))
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "store b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
