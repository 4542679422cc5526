package chaos_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// stallLimit is how long each stage of a phase may show no progress.
const stallLimit = 20 * time.Second

// stallSettings returns the variables that set the limit of every stage of every
// phase to stallLimit.
func stallSettings() []string {
	var out []string
	for _, p := range events.Phases() {
		for stage := range (settings.Settings{}).Stall(p) {
			out = append(out, strings.ToUpper(fmt.Sprintf("TUNEBUS_SERVICES_%s_STALL_%s=", p, stage))+stallLimit.String())
		}
	}
	return out
}

// standstillLimit is the longest time in which a run may show neither a new fact
// nor progress.
const standstillLimit = ackWait + stallLimit + 30*time.Second

// standstill is the longest time in which a run showed nothing new.
type standstill struct {
	run    string
	after  string // subject of the last sign of life before it
	length time.Duration
}

func (s standstill) String() string {
	return fmt.Sprintf("run %s stood still for %s after %s", s.run, s.length.Round(100*time.Millisecond), s.after)
}

// findStandstills returns the longest standstill of each run, the longest first.
// A run lives from its request until it is tracked, or until now.
func findStandstills(s snapshot.State, now time.Time) []standstill {
	type sign struct {
		at      time.Time
		subject string
	}
	requestedAt := map[uint64]time.Time{}
	for _, m := range s.Requests {
		requestedAt[m.Sequence] = m.Time
	}
	signs, tracked := map[string][]sign{}, map[string]bool{}
	for _, m := range slices.Concat(s.Facts, s.Metrics) {
		a, err := events.ParseSubject(m.Subject)
		_, event, _ := strings.Cut(a.Type, ".")
		if err != nil || a.Type == events.TypePipelineRejected || event == events.EventTelemetry || events.IsRedrive(m.Subject) {
			continue // telemetry comes by a timer, whether the work goes on or not
		}
		signs[a.Run] = append(signs[a.Run], sign{m.Time, m.Subject})
		switch a.Type {
		case events.TypePipelineAccepted:
			var e struct{ Data events.PipelineAccepted }
			_ = json.Unmarshal(m.Body, &e) // the audit reports an error
			if at, ok := requestedAt[e.Data.Lineage.RequestSequence]; ok {
				signs[a.Run] = append(signs[a.Run], sign{at, "its request"})
			}
		case events.TypeTrackingCompleted:
			tracked[a.Run] = true
		}
	}
	var out []standstill
	for run, all := range signs {
		if !tracked[run] {
			all = append(all, sign{now, "now"})
		}
		slices.SortFunc(all, func(a, b sign) int { return a.at.Compare(b.at) })
		longest := standstill{run: run}
		for i := range all[1:] {
			if length := all[i+1].at.Sub(all[i].at); length > longest.length {
				longest.length, longest.after = length, all[i].subject
			}
		}
		out = append(out, longest)
	}
	slices.SortFunc(out, func(a, b standstill) int { return int(b.length - a.length) })
	return out
}

// writeTimeline writes the facts and the progress of all runs to a file, in the
// order of time.
func writeTimeline(t *testing.T, path string, s snapshot.State) {
	t.Helper()
	all := slices.Concat(s.Requests, s.Facts, s.Metrics)
	slices.SortStableFunc(all, func(a, b snapshot.Message) int { return a.Time.Compare(b.Time) })
	var out strings.Builder
	for _, m := range all {
		_, _ = fmt.Fprintf(&out, "%s %6d %s\n", m.Time.UTC().Format("15:04:05.000"), m.Sequence, m.Subject) // into memory
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		t.Error(err)
	}
}

// checkStandstills fails the test for each run that stood still for too long. It
// returns the longest standstill.
func checkStandstills(t *testing.T, s snapshot.State) standstill {
	t.Helper()
	all := findStandstills(s, time.Now())
	for _, found := range all {
		if found.length > standstillLimit {
			t.Errorf("%s, more than %s", found, standstillLimit)
		}
	}
	if len(all) == 0 {
		return standstill{}
	}
	return all[0]
}

// TestStandstills: the time between two signs of life of a run counts, from its
// request on, and that of an unfinished run until now.
func TestStandstills(t *testing.T) {
	t.Parallel()
	start := time.Now().Add(-time.Hour)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	accepted, err := json.Marshal(struct {
		Data events.PipelineAccepted `json:"data"`
	}{events.PipelineAccepted{RunID: "ended", Lineage: events.Lineage{RequestSequence: 7}}})
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot.State{
		Requests: []snapshot.Message{{Sequence: 7, Time: at(0)}},
		Facts: []snapshot.Message{
			{Subject: events.PipelineAccepted{RunID: "ended"}.Subject(), Time: at(3), Body: accepted},
			{Subject: events.PhaseStarted{RunID: "ended", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(4)},
			{Subject: events.TrackingCompleted{RunID: "ended"}.Subject(), Time: at(9)},
			{Subject: events.PipelineAccepted{RunID: "open"}.Subject(), Time: at(10), Body: []byte("{}")},
		},
		Metrics: []snapshot.Message{
			{Subject: events.Progress{RunID: "ended", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(7)},
			{Subject: events.Telemetry{RunID: "open", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(40)},
		},
	}
	got := findStandstills(s, at(70))
	want := []standstill{
		{"open", events.PipelineAccepted{RunID: "open"}.Subject(), time.Minute},
		{"ended", "its request", 3 * time.Second},
	}
	if !slices.Equal(got, want) {
		t.Errorf("standstills are %v, want %v", got, want)
	}
}
