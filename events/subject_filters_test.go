package events_test

import (
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestOutcomeFilters: the filters for what became of a run match each of its facts but
// the accepted one and the jobs, and no fact of another run.
func TestOutcomeFilters(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		f, ok := events.New(typ).(events.Fact)
		if !ok || typ == events.TypePipelineRejected {
			continue
		}
		_, job := f.(events.PhaseRequested)
		match := func(run string) bool { return count(events.OutcomeFilters(run), f.Subject()) > 0 }
		if got, want := match(f.Run()), !job && typ != events.TypePipelineAccepted; got != want || match("another") {
			t.Errorf("%s: matched %t, want %t", f.Subject(), got, want)
		}
	}
}
