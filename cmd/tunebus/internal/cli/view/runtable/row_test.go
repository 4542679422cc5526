package runtable

import (
	"encoding/json"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
)

// TestJSONStatus: the status of a run as JSON is the word by which the list is filtered, beside
// the conclusion of its pipeline, also if an earlier version stored its summary.
func TestJSONStatus(t *testing.T) {
	t.Parallel()
	success := events.Status(events.Success)
	for name, c := range map[string]struct {
		line               runindex.Line
		status, conclusion string
	}{
		"partial, stored earlier": {runindex.Line{Status: success, Partial: true, Result: []byte(`{"run_id":"r","run_name":"n","status":"success","duration_seconds":1}`)}, "partial", "success"},
		"success, stored earlier": {runindex.Line{Status: success, Result: []byte(`{"run_id":"r","run_name":"n","status":"success","tracking_pending":true}`)}, "success", "success"},
		"partial, stored now":     {runindex.Line{Status: success, Partial: true, Result: []byte(`{"run_id":"r","run_name":"n","status":"partial","conclusion":"success","tracking_pending":true}`)}, "partial", "success"},
		"partial, not stored":     {runindex.Line{Status: success, Partial: true}, "partial", "success"},
		"open":                    {runindex.Line{Status: events.StatusQueued}, "queued", ""},
	} {
		text, err := Row{Line: c.line, Percent: -1}.json()
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Status, Conclusion string }
		if err := json.Unmarshal(text, &got); err != nil || got.Status != c.status || got.Conclusion != c.conclusion {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}
