package runsummary_test

import (
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// TestAttemptsOfWorkers: the attempt with which intake ends a phase is no work.
func TestAttemptsOfWorkers(t *testing.T) {
	t.Parallel()
	facts := []events.Fact{
		events.PipelineAccepted{RunID: "r", Plan: []events.Step{{Phase: events.Finetune}}},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "gpu-1"},
		events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: events.IntakeWorker},
		events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Cancelled},
	}
	run := events.Fold(facts)
	if all := runsummary.Attempts(run, 1); len(all) != 1 || all[0].Worker != "gpu-1" || runsummary.Tries(run.Phases[events.Finetune]) != 1 {
		t.Errorf("the attempts are %+v", all)
	}
	if all := runsummary.Attempts(run, 2); len(all) != 0 {
		t.Errorf("more than one attempt: %+v", all)
	}
	if took, known := runsummary.Worked(run.Phases[events.Finetune]); known {
		t.Errorf("nobody knows when the worker that was killed ended, and it worked for %s", took)
	}
	run.Completed = &events.PipelineCompleted{RunID: "r", Phases: []events.PhaseResult{{Phase: events.Finetune, DurationSeconds: 5, Attempts: 2}}}
	if phases := runsummary.Of(run).Phases; phases[0].Attempts != 1 || phases[0].DurationSeconds != 0 || run.Completed.Phases[0].Attempts != 2 {
		t.Errorf("the summary says %+v, the fact %+v", phases, run.Completed.Phases)
	}
}
