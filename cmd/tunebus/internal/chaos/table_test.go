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

// enough wants what was killed to be worth it: at least half of those killed
// held a job, and the broker was among them.
func (w *wreck) enough(t *testing.T) {
	t.Helper()
	total := 0
	for _, n := range w.kills {
		total += n
	}
	if 2*w.heldJob < total || total < *kills {
		t.Errorf("%d kills hit %d processes that held a job; want %d, and at least half of them", total, w.heldJob, *kills)
	}
	if least := max(2, min(20, *kills/10)); w.kills[processes.NATS] < least {
		t.Errorf("%d kills hit the broker, want %d", w.kills[processes.NATS], least)
	}
}

// table tells what was done and what came of it.
func (w *wreck) table(s snapshot.State) string {
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(out, "%s\t%v\n", name, value) } // into memory
	for _, program := range slices.Sorted(maps.Keys(w.kills)) {
		row("killed: "+program, w.kills[program])
	}
	row("of these held a job", w.heldJob)
	for _, program := range slices.Sorted(maps.Keys(w.pauses)) {
		row("paused: "+program, w.pauses[program])
	}
	row("of these beyond the ack wait, holding a job", w.stales)
	ends, attempts := map[string]int{}, 0
	for _, m := range s.Facts {
		a, err := events.ParseSubject(m.Subject)
		switch {
		case err != nil:
		case a.Type == events.TypePipelineCompleted:
			var e struct{ Data events.PipelineCompleted }
			_ = json.Unmarshal(m.Body, &e) // the audit has read it
			ends[string(e.Data.Conclusion)]++
		case a.Type == events.TypePipelineRejected:
			ends["rejected"]++
		case strings.HasSuffix(a.Type, "."+events.EventStarted):
			attempts++
		}
	}
	for _, how := range slices.Sorted(maps.Keys(ends)) {
		row("runs: "+how, ends[how])
	}
	row("attempts", attempts)
	faults := map[audit.Kind]int{}
	for _, f := range audit.Check(s) {
		faults[f.Kind]++
	}
	for _, kind := range []audit.Kind{audit.Lost, audit.Duplicated, audit.Stuck, audit.Torn, audit.Failed, audit.Left, audit.Repeated} {
		row("faults: "+string(kind), faults[kind])
	}
	_ = out.Flush() // into memory
	return b.String()
}
