package events_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestOutcomeFilters: the filters for what became of a run match each fact about the whole
// run but the accepted one, no fact of a phase or of a single product, and none of another run.
func TestOutcomeFilters(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		f, ok := events.New(typ).(events.Fact)
		if !ok || typ == events.TypePipelineRejected {
			continue
		}
		phase, _, _ := strings.Cut(typ, ".")
		match := func(run string) bool { return count(events.OutcomeFilters(run), f.Subject()) > 0 }
		if got, want := match(f.Run()), !events.Phase(phase).Valid() && typ != events.TypePipelineAccepted && typ != events.TypePublishedCompleted; got != want || match("another") {
			t.Errorf("%s: matched %t, want %t", f.Subject(), got, want)
		}
	}
}
