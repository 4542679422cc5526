package events_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestMalformedInWords: what is wrong with an event is said without the names of a program.
func TestMalformedInWords(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`not json`:                      "it is no JSON: what is wrong stands at byte 2",
		``:                              "it is empty, and has to be JSON",
		`{"run_id":"q4"`:                "its JSON ends too early",
		"\xff\xfe":                      "it is no JSON: what is wrong stands at byte 1",
		`[]`:                            "it is a list; want an object",
		`{"run_id": 5}`:                 "run_id is a number; want a text",
		`{"labels": [1]}`:               "labels is a list; want an object",
		`{"labels": {"a": 1}}`:          "labels is a number; want a text",
		`{"run_id":"` + "x" + `"} more`: "it is no JSON: what is wrong stands at byte 16",
	} {
		_, err := events.Decode(events.TypePipelineRequested, "", []byte(data))
		if err == nil || err.Error() != "pipeline.requested cannot be read: "+want {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
	_, err := events.Decode(events.TypePipelineCompleted, "", []byte(`{"run_id":"r","ended_at":"yesterday"}`))
	if err == nil || strings.Contains(err.Error(), "parsing time") {
		t.Errorf("a time: %v", err)
	}
}

// TestLabelsOfRejected: a rejection keeps the labels that fit, whatever a request holds.
func TestLabelsOfRejected(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"team": "search", "": "x", "bad": "\xff", strings.Repeat("n", 201): "x", "large": strings.Repeat("x", 5000)}
	got := events.LabelsOfRejected(labels)
	if len(got) != 1 || got["team"] != "search" {
		t.Errorf("labels %v", got)
	}
	if got := events.LabelsOfRejected(nil); got != nil {
		t.Errorf("without labels: %v", got)
	}
}
