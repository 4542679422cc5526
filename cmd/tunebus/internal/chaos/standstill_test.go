package chaos_test

import (
	"cmp"
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

// sign is a sign of life of a run: its request, a fact, or progress.
type sign struct {
	at      time.Time
	subject string
}

// jobQueue is a queue of jobs.
type jobQueue struct {
	phase events.Phase
	name  string
}

// signsOfLife are the signs of life of all runs.
type signsOfLife struct {
	byRun   map[string][]sign
	tracked map[string]bool
	// queueOf has the queue of each job, by phase and run. byQueue are the times
	// at which the workers of a queue showed a sign of life.
	queueOf map[[2]string]jobQueue
	byQueue map[jobQueue][]time.Time
}

// readSigns collects the signs of life in the streams.
func readSigns(s snapshot.State) signsOfLife {
	l := signsOfLife{
		byRun:   map[string][]sign{},
		tracked: map[string]bool{},
		queueOf: map[[2]string]jobQueue{},
		byQueue: map[jobQueue][]time.Time{},
	}
	requestedAt := map[uint64]time.Time{}
	for _, m := range s.Requests {
		requestedAt[m.Sequence] = m.Time
	}
	for _, m := range slices.Concat(s.Facts, s.Metrics) { // a job is requested before its worker shows a sign of life
		a, err := events.ParseSubject(m.Subject)
		stage, event, _ := strings.Cut(a.Type, ".")
		if err != nil || a.Type == events.TypePipelineRejected || event == events.EventTelemetry || events.IsRedrive(m.Subject) {
			continue // telemetry comes by a timer, whether the work goes on or not
		}
		l.byRun[a.Run] = append(l.byRun[a.Run], sign{m.Time, m.Subject})
		job := [2]string{stage, a.Run}
		switch {
		case a.Type == events.TypePipelineAccepted:
			var e struct{ Data events.PipelineAccepted }
			_ = json.Unmarshal(m.Body, &e) // the audit reports an error
			if at, ok := requestedAt[e.Data.Lineage.RequestSequence]; ok {
				l.byRun[a.Run] = append(l.byRun[a.Run], sign{at, "its request"})
			}
		case a.Type == events.TypeTrackingCompleted:
			l.tracked[a.Run] = true
		case event == events.EventRequested:
			l.queueOf[job] = jobQueue{events.Phase(stage), a.Detail}
		case events.Phase(stage).Valid():
			l.byQueue[l.queueOf[job]] = append(l.byQueue[l.queueOf[job]], m.Time)
		}
	}
	for _, times := range l.byQueue {
		slices.SortFunc(times, time.Time.Compare)
	}
	return l
}

// longestWait returns the longest time between two signs of a run during which
// nothing happened. A job that waits in its queue does not stand still while the
// workers of the queue go on with other jobs.
func (l signsOfLife) longestWait(run string, before, after sign) time.Duration {
	a, err := events.ParseSubject(before.subject)
	stage, event, _ := strings.Cut(a.Type, ".")
	if err != nil || event != events.EventRequested && event != events.EventAttemptEnded {
		return after.at.Sub(before.at)
	}
	longest, last := time.Duration(0), before.at
	for _, at := range l.byQueue[l.queueOf[[2]string{stage, run}]] {
		if at.After(last) && at.Before(after.at) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return max(longest, after.at.Sub(last))
}

// findStandstills returns the longest standstill of each run, the longest first.
// A run lives from its request until it is tracked, or until now.
func findStandstills(s snapshot.State, now time.Time) []standstill {
	l := readSigns(s)
	var out []standstill
	for run, all := range l.byRun {
		if !l.tracked[run] {
			all = append(all, sign{now, "now"})
		}
		slices.SortFunc(all, func(a, b sign) int { return a.at.Compare(b.at) })
		longest := standstill{run: run}
		for i := range all[1:] {
			if length := l.longestWait(run, all[i], all[i+1]); length > longest.length {
				longest.length, longest.after = length, all[i].subject
			}
		}
		out = append(out, longest)
	}
	slices.SortFunc(out, func(a, b standstill) int { return cmp.Compare(b.length, a.length) })
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
// request on, and that of an unfinished run until now. Of a job in a queue counts
// only the time in which the workers of its queue showed no sign of life.
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
	waits := events.PhaseRequested{RunID: "waits", Phase: events.Finetune, Queue: "builtin"}
	s := snapshot.State{
		Requests: []snapshot.Message{{Sequence: 7, Time: at(0)}},
		Facts: []snapshot.Message{
			{Subject: events.PipelineAccepted{RunID: "ended"}.Subject(), Time: at(3), Body: accepted},
			{Subject: events.PhaseRequested{RunID: "ended", Phase: events.Finetune, Queue: "builtin"}.Subject(), Time: at(4)},
			{Subject: waits.Subject(), Time: at(4)},
			{Subject: events.PhaseStarted{RunID: "ended", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(5)},
			{Subject: events.TrackingCompleted{RunID: "ended"}.Subject(), Time: at(9)},
			{Subject: events.PipelineAccepted{RunID: "open"}.Subject(), Time: at(10), Body: []byte("{}")},
			{Subject: events.PhaseStarted{RunID: "waits", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(47)},
			{Subject: events.TrackingCompleted{RunID: "waits"}.Subject(), Time: at(48)},
		},
		Metrics: []snapshot.Message{
			{Subject: events.Progress{RunID: "ended", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(7)},
			{Subject: events.Telemetry{RunID: "open", Phase: events.Finetune, Attempt: 1}.Subject(), Time: at(40)},
		},
	}
	got := findStandstills(s, at(70))
	want := []standstill{
		{"open", events.PipelineAccepted{RunID: "open"}.Subject(), time.Minute},
		{"waits", waits.Subject(), 40 * time.Second},
		{"ended", "its request", 3 * time.Second},
	}
	if !slices.Equal(got, want) {
		t.Errorf("standstills are %v, want %v", got, want)
	}
}
