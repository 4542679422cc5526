package runtable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

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

// TestWideCharacters: characters that take two columns of a terminal move no column, and a line
// that is cut fits.
func TestWideCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := New(&out, false)
	rows := []Row{
		{Line: runindex.Line{RunID: "a", Status: "success", RunName: "名前の長い走行", Model: "模型", Labels: map[string]string{"team": "検索"}}, Percent: -1},
		{Line: runindex.Line{RunID: "b", Status: "success", RunName: "plain", Model: "m", Labels: map[string]string{"team": "x"}}, Percent: -1},
	}
	if err := table.Write(rows); err != nil {
		t.Fatal(err)
	}
	columns := map[int]bool{}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
		columns[runewidth.StringWidth(line[:strings.Index(line, "team=")])] = true
	}
	if len(columns) != 1 {
		t.Errorf("the labels stand in columns %v\n%s", columns, out.String())
	}
	if got := cut("名前の長い走行", 7); got != "名前の…" || runewidth.StringWidth(got) > 7 {
		t.Errorf("cut to %q", got)
	}
}

// TestQueuedBetweenPhases: the list says of a run that waits for a worker of its next phase that
// it is queued, and has it where the queued runs are asked for.
func TestQueuedBetweenPhases(t *testing.T) {
	t.Parallel()
	line := runindex.Line{Status: events.StatusRunning, Phase: events.Inference}
	if got := (Row{Line: line, Percent: -1}).status(); got != "inference queued" || !line.Queued() {
		t.Errorf("%q, queued %v", got, line.Queued())
	}
	line.Attempt = 1
	if got := (Row{Line: line, Percent: -1}).status(); got != "inference" || line.Queued() {
		t.Errorf("%q, queued %v", got, line.Queued())
	}
}
