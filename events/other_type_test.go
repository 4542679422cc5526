package events_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestDataOfAnotherType: data that is not of the type of its message says which it is, or that it
// names no phase, without which it has no type.
func TestDataOfAnotherType(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"run_id":"r"}`:                      "finetune.requested cannot be read: its data names no phase",
		`{"run_id":"r","phase":"evaluation"}`: "finetune.requested cannot be read: its data is that of evaluation.requested",
	} {
		_, err := events.Decode("finetune.requested", "", []byte(data))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}
