package bustest_test

import "github.com/tunebus/tunebus/events"

// The facts of these tests are about fine-tuning in run r1.

func started(attempt int) events.PhaseStarted {
	return events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Worker: "w"}
}

func completed(attempt int) events.PhaseCompleted {
	return events.PhaseCompleted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Conclusion: events.Success}
}

// job is a job of the fine-tuning queue.
func job(run string) events.PhaseRequested {
	return events.PhaseRequested{RunID: run, Phase: events.Finetune, Queue: "builtin"}
}

// accepted is a run of one phase: pipeline.completed follows from the end of
// its fine-tuning.
func accepted(run string) events.PipelineAccepted {
	return events.PipelineAccepted{RunID: run, Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}}
}
