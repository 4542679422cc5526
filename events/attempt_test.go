package events

import (
	"reflect"
	"testing"
	"time"
)

// TestResults: the result of attempts with each outcome.
func TestResults(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	start := func(n, minute int) PhaseStarted {
		return PhaseStarted{RunID: "r", Phase: Finetune, Attempt: n, Worker: "w", Engine: "builtin", StartedAt: at(minute)}
	}
	oom := &Problem{Code: "oom", Message: "out of memory"}
	facts := []Fact{
		start(1, 1), AttemptEnded{RunID: "r", Phase: Finetune, Attempt: 1, Reason: EndError, Error: oom, LastStep: 7, EndedAt: at(2)},
		start(2, 3),                                                                                          // killed
		start(3, 4), AttemptEnded{RunID: "r", Phase: Finetune, Attempt: 3, Reason: EndShutdown, LastStep: 9}, // of a service that said no time
		PhaseStarted{RunID: "r", Phase: Finetune, Attempt: 4, Worker: "old", ResumedFrom: 9},
	}
	want := []AttemptResult{
		{Phase: Finetune, Number: 1, Worker: "w", Engine: "builtin", Outcome: "error", LastStep: 7, StartedAt: at(1), EndedAt: at(2), Error: oom},
		{Phase: Finetune, Number: 2, Worker: "w", Engine: "builtin", Outcome: "crashed", StartedAt: at(3)},
		{Phase: Finetune, Number: 3, Worker: "w", Engine: "builtin", Outcome: "shutdown", LastStep: 9, StartedAt: at(4)},
		{Phase: Finetune, Number: 4, Worker: "old", Outcome: "running", ResumedFrom: 9},
	}
	p := Fold(facts).Phases[Finetune]
	if got := p.Results(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !p.Claimed() || p.Began() != at(1) {
		t.Errorf("claimed: %t, began: %s", p.Claimed(), p.Began())
	}
	want[3].Outcome, want[3].StartedAt, want[3].EndedAt = "success", at(5), at(6)
	p = Fold(append(facts, PhaseCompleted{RunID: "r", Phase: Finetune, Attempt: 4, Conclusion: Success, StartedAt: at(5), EndedAt: at(6)})).Phases[Finetune]
	if got := p.Results(); !reflect.DeepEqual(got, want) || p.Claimed() {
		t.Errorf("completed: got  %+v\nwant %+v", got, want)
	}
	want[3].Outcome, want[3].StartedAt, want[3].EndedAt = "crashed", time.Time{}, time.Time{}
	p = Fold(append(facts, PhaseCompleted{RunID: "r", Phase: Finetune, Attempt: 5, Conclusion: Cancelled})).Phases[Finetune]
	if got := p.Results(); !reflect.DeepEqual(got, want) {
		t.Errorf("completed by another: got  %+v\nwant %+v", got, want)
	}
	var none *PhaseState
	if none.Results() != nil || none.Claimed() || !none.Began().IsZero() {
		t.Error("a phase that has not started has results")
	}
}
