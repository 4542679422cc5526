package audit_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

func injectedStepFaults() []injectedFault {
	return []injectedFault{
		{name: "repeated steps", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "5 steps again", state: repeatSteps},
		{name: "repeated steps, and outages before and after", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "also at step 3",
			state: func(t *testing.T, s *snapshot.State) {
				repeatSteps(t, s)
				at := stepTimes(t, s)
				s.Outages = []snapshot.Outage{
					{From: at[1].Add(-time.Hour), To: at[save].Add(-time.Microsecond)},
					{From: at[save+1].Add(time.Microsecond), To: at[save+1].Add(time.Hour)},
				}
			}},
		{name: "repeated steps, and an outage of another process", kind: audit.Repeated, object: "finetune.started.recorded.2", text: "also at step 3",
			state: func(t *testing.T, s *snapshot.State) {
				repeatSteps(t, s)
				s.Outages = []snapshot.Outage{{PID: os.Getpid() + 1, To: time.Now().Add(time.Hour)}}
			}},
	}
}

// repeatSteps makes the second attempt start from the first step.
func repeatSteps(t *testing.T, s *snapshot.State) {
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

// stepTimes returns the time of each step of the first attempt.
func stepTimes(t *testing.T, s *snapshot.State) map[int64]time.Time {
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

// TestCheckpointDuringAnOutage: only the steps after a checkpoint that could not
// be registered may be repeated.
func TestCheckpointDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := record(t).read(t)
	repeatSteps(t, &s)
	at := stepTimes(t, &s)
	moment := at[save].Add(at[save+1].Sub(at[save]) / 2)
	for _, pid := range []int{os.Getpid(), 0} {
		s.Outages = []snapshot.Outage{{PID: pid, From: moment, To: moment}}
		if faults := audit.Check(s); len(faults) > 0 {
			t.Errorf("process %[2]d could not register the checkpoint at step %[1]d, but a fault is found:\n%[3]s", save, pid, lines(faults))
		}
	}
	// The checkpoint before the outage could be registered.
	changeFact("pipeline.accepted."+run, func(e *events.PipelineAccepted) { e.Specification.FineTuner.SaveSteps = 2 })(t, &s)
	faults := audit.Check(s)
	if !slices.ContainsFunc(faults, func(f audit.Fault) bool {
		return f.Kind == audit.Repeated && strings.Contains(f.Text, "also at step 2")
	}) {
		t.Errorf("the checkpoint at step 2 could be registered, and the faults are:\n%s", lines(faults))
	}
}
