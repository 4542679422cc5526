package chaos_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
)

// checkKills fails the test if the kills prove too little: at least half of the
// killed processes must have owned a job, and NATS must be among the killed.
func (f *faultInjector) checkKills(t *testing.T) {
	t.Helper()
	total := 0
	for _, n := range f.kills {
		total += n
	}
	if 2*f.ownersKilled < total || total < *kills {
		t.Errorf("%d kills hit %d processes that owned a job; want %d, and at least half of them", total, f.ownersKilled, *kills)
	}
	if atLeast := max(2, min(20, *kills/10)); f.kills[processes.NATS] < atLeast {
		t.Errorf("%d kills hit NATS, want %d", f.kills[processes.NATS], atLeast)
	}
}

// summary returns a table of the faults that were injected and of their effects.
func (f *faultInjector) summary(s snapshot.State) string {
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(out, "%s\t%v\n", name, value) } // into memory
	for _, program := range slices.Sorted(maps.Keys(f.kills)) {
		row("killed: "+program, f.kills[program])
	}
	row("of these owned a job", f.ownersKilled)
	for _, program := range slices.Sorted(maps.Keys(f.pauses)) {
		row("paused: "+program, f.pauses[program])
	}
	row("of these beyond the ack wait, as owner of a job", f.ownersPaused)
	addOutcome(row, s)
	_ = out.Flush() // into memory
	return b.String()
}

// addOutcome adds the conclusions of the runs and the faults that the audit
// finds to a table.
func addOutcome(row func(name string, value any), s snapshot.State) {
	conclusions, attempts := map[string]int{}, 0
	for _, m := range s.Facts {
		a, err := events.ParseSubject(m.Subject)
		switch {
		case err != nil:
		case a.Type == events.TypePipelineCompleted:
			var e struct{ Data events.PipelineCompleted }
			_ = json.Unmarshal(m.Body, &e) // the audit reports an error
			conclusions[string(e.Data.Conclusion)]++
		case a.Type == events.TypePipelineRejected:
			conclusions["rejected"]++
		case strings.HasSuffix(a.Type, "."+events.EventStarted):
			attempts++
		}
	}
	for _, conclusion := range slices.Sorted(maps.Keys(conclusions)) {
		row("runs: "+conclusion, conclusions[conclusion])
	}
	row("attempts", attempts)
	faults := map[audit.Kind]int{}
	for _, fault := range audit.Check(s) {
		faults[fault.Kind]++
	}
	for _, kind := range []audit.Kind{audit.Lost, audit.Duplicated, audit.Stuck, audit.Torn, audit.Failed, audit.Left, audit.Repeated} {
		row("faults: "+string(kind), faults[kind])
	}
}
