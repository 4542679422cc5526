package deletedruns

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/deletion"
)

// TestPartialRun: a run of which a part fell short is partial here, too, and a run of which
// nothing is left is nothing to ask about.
func TestPartialRun(t *testing.T) {
	t.Parallel()
	partial := deletion.Report{Runs: []deletion.Target{{RunID: "r", Conclusion: events.Success, Status: "partial", Facts: 3}}}
	if text := Text(partial); !strings.Contains(text, "partial") || strings.Contains(text, "success") || NothingLeft(partial) {
		t.Errorf("%s", text)
	}
	if gone := (deletion.Report{Runs: []deletion.Target{{RunID: "r", Begun: true}}}); !NothingLeft(gone) {
		t.Error("something is left of a run of which nothing is")
	}
}
