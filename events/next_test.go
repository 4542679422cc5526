package events

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// TestNextWalksEveryPlan walks all plans with all outcomes of all phases.
func TestNextWalksEveryPlan(t *testing.T) {
	t.Parallel()
	walks := 0
	for mask := 1; mask < 8; mask++ {
		for _, policy := range []OnFailure{Stop, Continue} {
			for outcome := range 27 {
				var plan []Step
				for i, p := range Phases() {
					if mask>>i&1 == 1 {
						plan = append(plan, Step{Phase: p, Queue: "builtin", OnFailure: Stop})
					}
				}
				plan[0].OnFailure = policy
				walk(t, plan, outcome)
				walks++
			}
		}
	}
	if walks != 7*2*27 {
		t.Fatalf("%d walks", walks)
	}
}

func walk(t *testing.T, plan []Step, outcome int) {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	accepted := PipelineAccepted{RunID: "r1", Plan: plan, RequestedAt: at}
	facts := []Fact{accepted}
	var cause Fact = accepted
	want := Success
	for i, s := range plan {
		next, err := Next(cause, Fold(facts))
		if err != nil {
			t.Fatal(err)
		}
		job, ok := next.(PhaseRequested)
		if !ok || job.Phase != s.Phase || job.Queue != s.Queue {
			t.Fatalf("plan %v: after %s came %#v", plan, cause.Subject(), next)
		}
		at = at.Add(time.Minute)
		done := PhaseCompleted{
			RunID: "r1", Phase: s.Phase, Attempt: 1, StartedAt: at, EndedAt: at.Add(time.Second),
			Conclusion: []Conclusion{Success, Failure, Cancelled}[outcome%3],
		}
		outcome /= 3
		facts = append(facts, job, PhaseStarted{RunID: "r1", Phase: s.Phase, Attempt: 1}, done)
		cause = done
		stops := done.Conclusion == Cancelled || done.Conclusion == Failure && s.OnFailure == Stop
		if stops {
			want = done.Conclusion
		}
		if stops || i == len(plan)-1 {
			break
		}
	}
	next, err := Next(cause, Fold(facts))
	if err != nil {
		t.Fatal(err)
	}
	end, ok := next.(PipelineCompleted)
	if !ok || end.Conclusion != want {
		t.Fatalf("plan %v: want the run to end with %s, got %#v", plan, want, next)
	}
	wantRun := Fold(append(facts, end))
	for seed := range uint64(3) {
		shuffled := append(append([]Fact{}, facts...), append(facts, end)...)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		if got := Fold(shuffled); !reflect.DeepEqual(got, wantRun) {
			t.Fatalf("fold depends on the order:\n%+v\n%+v", got, wantRun)
		}
	}
}

func TestEveryEventIsDecodedFromItsOwnJSON(t *testing.T) {
	t.Parallel()
	for _, typ := range Types() {
		ev := New(typ)
		if ev == nil || ev.Type() != typ {
			t.Fatalf("New(%q) = %#v", typ, ev)
		}
		data, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(typ, Schema(typ), data); err != nil {
			t.Error(err)
		}
		if _, err := Decode(typ, Schema(typ)+"9", data); err == nil {
			t.Errorf("%s: an unknown version was decoded", typ)
		}
		if _, err := Decode(typ, "", []byte("{")); err == nil {
			t.Errorf("%s: truncated JSON was decoded", typ)
		}
	}
}
