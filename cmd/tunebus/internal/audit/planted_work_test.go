package audit_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/events"
)

func plantedWork() []plant {
	return []plant{
		{name: "work done again", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "5 steps again", state: workAgain},
		{name: "work done again, and outages before and after", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "also at step 3",
			state: func(t *testing.T, s *audit.State) {
				workAgain(t, s)
				at := times(t, s)
				s.Outages = []audit.Outage{
					{From: at[1].Add(-time.Hour), To: at[save].Add(-time.Microsecond)},
					{From: at[save+1].Add(time.Microsecond), To: at[save+1].Add(time.Hour)},
				}
			}},
		{name: "work done again, and an outage of another process", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "also at step 3",
			state: func(t *testing.T, s *audit.State) {
				workAgain(t, s)
				s.Outages = []audit.Outage{{PID: os.Getpid() + 1, To: time.Now().Add(time.Hour)}}
			}},
	}
}

// workAgain lets the second attempt begin from the start.
func workAgain(t *testing.T, s *audit.State) {
	t.Helper()
	for i, m := range s.Metrics {
		if m.Subject != "finetune.progress."+run+".2" {
			continue
		}
		var p events.Progress
		unwrap(t, m.Body, &p)
		p.Step = 1
		again := message(t, p)
		again.Time, again.Sequence = m.Time, m.Sequence
		s.Metrics[i] = again
		return
	}
	t.Fatal("no progress of attempt 2 is recorded")
}

// times are when the first attempt did each step.
func times(t *testing.T, s *audit.State) map[int64]time.Time {
	t.Helper()
	at := map[int64]time.Time{}
	for _, m := range s.Metrics {
		if m.Subject != "finetune.progress."+run+".1" {
			continue
		}
		var p events.Progress
		unwrap(t, m.Body, &p)
		for _, point := range p.Points {
			at[point.Step] = point.Time
		}
	}
	return at
}

// TestCheckpointDuringAnOutage: what nobody could be told of may be repeated,
// and no more than that.
func TestCheckpointDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := record(t).read(t)
	workAgain(t, &s)
	at := times(t, &s)
	moment := at[save].Add(at[save+1].Sub(at[save]) / 2)
	for _, pid := range []int{os.Getpid(), 0} {
		s.Outages = []audit.Outage{{PID: pid, From: moment, To: moment}}
		if faults := audit.Check(s); len(faults) > 0 {
			t.Errorf("the checkpoint at step %d could not be saved by process %d, and it is said:\n%s", save, pid, lines(faults))
		}
	}
	// One that was due before could.
	changed("pipeline.accepted."+run, func(e *events.PipelineAccepted) { e.Specification.FineTuner.SaveSteps = 2 })(t, &s)
	faults := audit.Check(s)
	if !slices.ContainsFunc(faults, func(f audit.Fault) bool {
		return f.Kind == audit.Repeated && strings.Contains(f.Text, "also at step 2")
	}) {
		t.Errorf("the checkpoint at step 2 could be saved, and it is said:\n%s", lines(faults))
	}
}
