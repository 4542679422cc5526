package events

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// runWithRetries returns the facts of a run with a retried phase.
func runWithRetries() []Fact {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plan := []Step{{Phase: Finetune, Queue: "builtin"}, {Phase: Inference, Queue: "builtin"}}
	return []Fact{
		PipelineAccepted{RunID: "r", RunName: "n", RequestedAt: now, Plan: plan},
		PhaseRequested{RunID: "r", Phase: Finetune, Queue: "builtin", Plan: plan},
		PhaseStarted{RunID: "r", Phase: Finetune, Attempt: 1, Worker: "a"},
		AttemptEnded{RunID: "r", Phase: Finetune, Attempt: 1, Reason: EndError},
		PhaseStarted{RunID: "r", Phase: Finetune, Attempt: 2, Worker: "b"},
		PhaseStarted{RunID: "r", Phase: Finetune, Attempt: 3, Worker: "c"},
		PhaseCompleted{RunID: "r", Phase: Finetune, Attempt: 3, Conclusion: Success, StartedAt: now, EndedAt: now},
		PhaseRequested{RunID: "r", Phase: Inference, Queue: "builtin", Plan: plan},
		PhaseStarted{RunID: "r", Phase: Inference, Attempt: 1, Worker: "a"},
		CancelRequested{RunID: "r", By: "user"},
		PhaseCompleted{RunID: "r", Phase: Inference, Attempt: 1, Conclusion: Cancelled, StartedAt: now, EndedAt: now},
		PipelineCompleted{RunID: "r", Conclusion: Cancelled, StartedAt: now, EndedAt: now},
		TrackingCompleted{RunID: "r"},
	}
}

func TestFoldIgnoresOrderAndDuplicates(t *testing.T) {
	t.Parallel()
	facts := runWithRetries()
	want := Fold(facts)
	if want.Status() != Status(Cancelled) || want.Phases[Finetune].Tries() != 1 || want.Phases[Finetune].Crashes() != 1 || want.Phases[Finetune].NextAttempt() != 4 {
		t.Fatalf("folded to %+v", want)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		mixed := append([]Fact(nil), facts...)
		for range rng.IntN(8) {
			mixed = append(mixed, facts[rng.IntN(len(facts))])
		}
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := Fold(mixed); !reflect.DeepEqual(got, want) {
			t.Fatalf("in another order: %+v\nwant %+v", got, want)
		}
	}
}

// TestCrashes: an attempt that stalled counts as a crash, one that only lost its
// job does not.
func TestCrashes(t *testing.T) {
	t.Parallel()
	ended := func(attempt int, reason EndReason, code string) Fact {
		e := AttemptEnded{RunID: "r", Phase: Finetune, Attempt: attempt, Reason: reason}
		if code != "" {
			e.Error = &Problem{Code: code, Message: code}
		}
		return e
	}
	state := Fold([]Fact{
		ended(1, EndLost, ""),
		ended(2, EndLost, CodeStalled),
		ended(3, EndError, CodeStalled),
		ended(4, EndLost, "other"),
		PhaseStarted{RunID: "r", Phase: Finetune, Attempt: 5},
	}).Phases[Finetune]
	if n := state.Crashes(); n != 2 || !state.Attempts[1].Stalled() || state.Tries() != 1 {
		t.Errorf("%d crashes, %d tries", n, state.Tries())
	}
}

func TestFoldDoesNotChangeItsInput(t *testing.T) {
	t.Parallel()
	facts := runWithRetries()
	a := Fold(facts[:5])
	before := a.Phases[Finetune].NextAttempt()
	_ = a.With(facts[5])
	if a.Phases[Finetune].NextAttempt() != before {
		t.Error("folding one more fact changed the state before it")
	}
}

func BenchmarkFold(b *testing.B) {
	facts := runWithRetries()
	for b.Loop() {
		Fold(facts)
	}
}
