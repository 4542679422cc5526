package freeworker_test

import (
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

const (
	waitsForPlace = "a worker of finetune/builtin in the process that works on the run's data folder, run or up: no other one reads /home/me/base where it lies; " +
		"submit a run with --copy-inputs to let any worker take it"
	waitsForAble = `a worker of finetune/builtin that can take it: one that is free gave it back, and says why in its log ("job given back"); it is offered again within some minutes`
)

// TestUntaken: a job that free workers gave back waits for another worker: one of its
// inputs' machine, or one that says why in its log. It is not said of a job that nobody had
// the time to take, that waits for its next try, or whose workers are missing or work.
func TestUntaken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := func(why events.EndReason) []events.Attempt {
		return []events.Attempt{{Number: 1, Started: &events.PhaseStarted{}, Ended: &events.AttemptEnded{Reason: why}}}
	}
	local := map[string]events.Reference{
		"fine_tuner.training_data_id": {Store: "local:m", Key: "/home/me/data"},
		"fine_tuner.base_model_id":    {Store: "local:m", Key: "/home/me/base"},
	}
	uploaded := map[string]events.Reference{"fine_tuner.base_model_id": {Store: "s", Key: "uploads/base"}}
	for name, c := range map[string]struct {
		files    map[string]events.Reference
		age      time.Duration
		held     int
		idle     int
		attempts []events.Attempt
		want     string
	}{
		"inputs elsewhere":  {files: local, age: time.Minute, held: 2, idle: 1, want: waitsForPlace},
		"uploaded inputs":   {files: uploaded, age: time.Minute, held: 1, idle: 1, want: waitsForAble},
		"its worker stops":  {files: local, age: time.Minute, held: 1, idle: 1, attempts: ended(events.EndShutdown), want: waitsForPlace},
		"just submitted":    {files: local, age: time.Second, held: 1, idle: 1},
		"all workers work":  {files: local, age: time.Minute, held: 2},
		"not delivered yet": {files: local, age: time.Minute, idle: 1},
		"the next try":      {files: local, age: time.Minute, held: 1, idle: 1, attempts: ended(events.EndError)},
		"it is worked on":   {files: local, age: time.Minute, held: 1, idle: 1, attempts: []events.Attempt{{Number: 1, Started: &events.PhaseStarted{}}}},
	} {
		run := events.Run{
			Accepted: &events.PipelineAccepted{RequestedAt: now.Add(-c.age), Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}, Inputs: events.Inputs{Files: c.files}},
			Phases:   map[events.Phase]*events.PhaseState{events.Finetune: {Requested: &events.PhaseRequested{}, Attempts: c.attempts}},
		}
		queue := topology.Queue{Phase: events.Finetune, Name: "builtin", Held: c.held, Idle: c.idle}
		if got := freeworker.Untaken(run, []topology.Queue{queue}, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestUntakenBehindAPhase: the time in which a worker may take a job counts from the end of
// the phase before it.
func TestUntakenBehindAPhase(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := events.Run{
		Accepted: &events.PipelineAccepted{
			RequestedAt: end.Add(-time.Hour),
			Plan:        []events.Step{{Phase: events.Finetune, Queue: "builtin"}, {Phase: events.Inference, Queue: "builtin"}},
		},
		Phases: map[events.Phase]*events.PhaseState{
			events.Finetune:  {Completed: &events.PhaseCompleted{EndedAt: end}},
			events.Inference: {Requested: &events.PhaseRequested{}},
		},
	}
	queues := []topology.Queue{{Phase: events.Inference, Name: "builtin", Held: 1, Idle: 1}}
	if got := freeworker.Untaken(run, queues, end.Add(time.Second)); got != "" {
		t.Errorf("a second behind the phase before: %q", got)
	}
	if got := freeworker.Untaken(run, queues, end.Add(time.Minute)); got == "" {
		t.Error("a minute behind the phase before: nothing")
	}
}
