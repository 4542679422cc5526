package events_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// matches reports whether a subject matches a filter.
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	if len(f) != len(s) {
		return false
	}
	for i := range f {
		if f[i] != "*" && f[i] != s[i] {
			return false
		}
	}
	return true
}

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
		match := func(run string) bool {
			return slices.ContainsFunc(events.OutcomeFilters(run), func(filter string) bool { return matches(filter, f.Subject()) })
		}
		if got, want := match(f.Run()), !job && typ != events.TypePipelineAccepted; got != want || match("another") {
			t.Errorf("%s: matched %t, want %t", f.Subject(), got, want)
		}
	}
}
