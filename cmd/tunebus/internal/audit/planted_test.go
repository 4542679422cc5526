package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/events"
)

// plant is a fault that is put into good books, and what has to be said of it.
type plant struct {
	name string
	// folders damages the files, state what was read of the server or, if it
	// needs them, of the files.
	folders func(t *testing.T, b books)
	state   func(t *testing.T, s *audit.State)
	kind    audit.Kind
	object  string // a part of it
	text    string // likewise
	// also is how many faults follow from the same cause.
	also int
}

// TestPlantedFaults plants one fault of each kind into a good pipeline, and
// wants that one to be found and no other.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	good := record(t)
	if faults := audit.Check(good.read(t)); len(faults) > 0 {
		t.Fatalf("the good pipeline has faults:\n%s", lines(faults))
	}
	for _, p := range slices.Concat(plantedFacts(), plantedAttempts(), plantedWork(), plantedTracking(), plantedFiles()) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := good.copied(t)
			if p.folders != nil {
				p.folders(t, b)
			}
			s := b.read(t)
			if p.state != nil {
				p.state(t, &s)
			}
			faults := audit.Check(s)
			found := slices.ContainsFunc(faults, func(f audit.Fault) bool {
				return f.Kind == p.kind && strings.Contains(f.Object, p.object) && strings.Contains(f.Text, p.text)
			})
			if !found || len(faults) != 1+p.also {
				t.Errorf("want %s: %s: %s and %d more; got\n%s", p.kind, p.object, p.text, p.also, lines(faults))
			}
		})
	}
}

func lines(faults []audit.Fault) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// at is the place of the fact on a subject.
func at(t *testing.T, s *audit.State, subject string) int {
	t.Helper()
	i := slices.IndexFunc(s.Facts, func(m audit.Message) bool { return m.Subject == subject })
	if i < 0 {
		t.Fatalf("no %s is recorded", subject)
	}
	return i
}

// drop takes facts away.
func drop(subjects ...string) func(*testing.T, *audit.State) {
	return func(t *testing.T, s *audit.State) {
		for _, subject := range subjects {
			i := at(t, s, subject)
			s.Facts = slices.Delete(s.Facts, i, i+1)
		}
	}
}

// fact adds one right behind another, or changes the one on its subject.
func fact(ev events.Event, behind string) func(*testing.T, *audit.State) {
	return func(t *testing.T, s *audit.State) {
		t.Helper()
		m := message(t, ev)
		if i := slices.IndexFunc(s.Facts, func(m audit.Message) bool { return m.Subject == ev.Subject() }); i >= 0 && behind == "" {
			m.Sequence = s.Facts[i].Sequence
			s.Facts[i] = m
			return
		}
		i := at(t, s, behind)
		m.Sequence = s.Facts[i].Sequence + 1
		s.Facts = slices.Insert(s.Facts, i+1, m)
	}
}

// changed is a recorded event with something changed.
func changed[E events.Event](subject string, change func(*E)) func(*testing.T, *audit.State) {
	return func(t *testing.T, s *audit.State) {
		t.Helper()
		var e E
		unwrap(t, s.Facts[at(t, s, subject)].Body, &e)
		change(&e)
		fact(e, "")(t, s)
	}
}

func plantedFacts() []plant {
	return []plant{
		{name: "a request without an answer", kind: audit.Lost, object: "request 9", text: "neither accepted nor rejected",
			state: func(_ *testing.T, s *audit.State) { s.Requests = append(s.Requests, audit.Message{Sequence: 9}) }},
		{name: "a request answered twice", kind: audit.Duplicated, object: "request 1", text: "pipeline.accepted.recorded and pipeline.rejected.1",
			state: func(t *testing.T, s *audit.State) {
				fact(events.PipelineRejected{RequestSequence: 1}, "tracking.completed."+run)(t, s)
			}},
		{name: "an answer to nobody", kind: audit.Torn, object: "pipeline.rejected.77", text: "nobody made",
			state: fact(events.PipelineRejected{RequestSequence: 77}, "tracking.completed."+run)},
		{name: "an accepted run with no job", kind: audit.Lost, object: "finetune.requested.second.builtin", text: "does not follow",
			state: second},
		{name: "a job that nobody works on", kind: audit.Stuck, object: "finetune.requested.second.builtin", text: "does not follow", also: 1,
			state: func(t *testing.T, s *audit.State) {
				second(t, s)
				i := slices.IndexFunc(s.Consumers, func(c audit.Consumer) bool { return c.Name == "intake" })
				s.Consumers[i].Held = 1
			}},
		{name: "a job that was lost", kind: audit.Lost, object: "pipeline.completed.second", text: "has no end",
			state: func(t *testing.T, s *audit.State) {
				second(t, s)
				var accepted events.PipelineAccepted
				unwrap(t, s.Facts[at(t, s, "pipeline.accepted.second")].Body, &accepted)
				job, err := events.Next(accepted, events.Run{})
				if err != nil {
					t.Fatal(err)
				}
				fact(job, "pipeline.accepted.second")(t, s)
			}},
		{name: "a run that did not begin", kind: audit.Lost, object: "pipeline.accepted.unheard", text: "evaluation.started.unheard.1 is",
			state: fact(events.PhaseStarted{RunID: "unheard", Phase: events.Evaluation, Attempt: 1}, "tracking.completed."+run)},
		{name: "a run without its end", kind: audit.Lost, object: "pipeline.completed.recorded", text: "does not follow evaluation.completed.recorded",
			state: drop("pipeline.completed." + run)},
		{name: "a fact twice", kind: audit.Duplicated, object: "finetune.completed.recorded", text: "stored a second time",
			state: func(t *testing.T, s *audit.State) {
				m := s.Facts[at(t, s, "finetune.completed."+run)]
				s.Facts = append(s.Facts, m)
			}},
		{name: "a fact that cannot be read", kind: audit.Torn, object: "pipeline.cancel_requested.recorded", text: "cannot be read",
			state: func(_ *testing.T, s *audit.State) {
				s.Facts = append(s.Facts, audit.Message{Subject: "pipeline.cancel_requested." + run, Body: []byte("{")})
			}},
		{name: "a fact on another's subject", kind: audit.Torn, object: "pipeline.cancel_requested.other", text: "it is the event",
			state: func(t *testing.T, s *audit.State) {
				fact(events.CancelRequested{RunID: run}, "tracking.completed."+run)(t, s)
				s.Facts[len(s.Facts)-1].Subject = "pipeline.cancel_requested.other"
			}},
		{name: "another job than follows", kind: audit.Torn, object: "inference.requested.recorded.builtin", text: "is not what follows from finetune.completed.recorded",
			state: changed("inference.requested."+run+".builtin", func(e *events.PhaseRequested) { e.RunName = "another" })},
		{name: "a job that follows from nothing", kind: audit.Torn, object: "evaluation.requested.recorded.other", text: "follows from nothing",
			state: fact(events.PhaseRequested{RunID: run, Phase: events.Evaluation, Queue: "other"}, "evaluation.started."+run+".1")},
		{name: "an effect before its cause", kind: audit.Torn, object: "inference.requested.recorded.builtin", text: "before its cause",
			state: func(t *testing.T, s *audit.State) {
				i, j := at(t, s, "inference.requested."+run+".builtin"), at(t, s, "finetune.completed."+run)
				s.Facts[i].Sequence = s.Facts[j].Sequence - 1
			}},
		{name: "a run that is not tracked", kind: audit.Stuck, object: "tracking.completed.recorded", text: "is not tracked",
			state: drop("tracking.completed." + run)},
		{name: "a run with gaps", kind: audit.Torn, object: "tracking.completed.recorded", text: "nowhere to be found",
			state: changed("tracking.completed."+run, func(e *events.TrackingCompleted) { e.Gaps = []string{"nowhere to be found"} })},
		{name: "a run that ended otherwise", kind: audit.Failed, object: "pipeline.completed.recorded", text: "concluded with success, want [cancelled]",
			state: func(_ *testing.T, s *audit.State) {
				s.Ends = map[string][]events.Conclusion{run: {events.Cancelled}}
			}},
		{name: "a message that nobody settles", kind: audit.Stuck, object: "TUNEBUS/tracker", text: "2 are not settled",
			state: func(_ *testing.T, s *audit.State) {
				i := slices.IndexFunc(s.Consumers, func(c audit.Consumer) bool { return c.Name == "tracker" })
				s.Consumers[i].Held = 2
			}},
		{name: "a message that was given up", kind: audit.Lost, object: "dead.TUNEBUS.5", text: "given up",
			state: func(_ *testing.T, s *audit.State) { s.Dead = append(s.Dead, audit.Message{Subject: "dead.TUNEBUS.5"}) }},
		{name: "a letter twice", kind: audit.Duplicated, object: "dead.TUNEBUS_REQUESTS.2", text: "second letter",
			state: func(_ *testing.T, s *audit.State) {
				letter := audit.Message{Subject: "dead.TUNEBUS_REQUESTS.2"} // the recorded request 2 was rejected
				s.Dead = append(s.Dead, letter, letter)
			}},
	}
}

// second is another accepted run, which has got no further.
func second(t *testing.T, s *audit.State) {
	t.Helper()
	var accepted events.PipelineAccepted
	unwrap(t, s.Facts[at(t, s, "pipeline.accepted."+run)].Body, &accepted)
	accepted.RunID, accepted.Lineage.RequestSequence = "second", 9
	s.Requests = append(s.Requests, audit.Message{Sequence: 9})
	fact(accepted, "tracking.completed."+run)(t, s)
}

func plantedAttempts() []plant {
	started := func(n int) events.PhaseStarted {
		return events.PhaseStarted{RunID: run, Phase: events.Finetune, Attempt: n}
	}
	ended := events.AttemptEnded{RunID: run, Phase: events.Finetune, Attempt: 2, Reason: events.EndError}
	return []plant{
		{name: "a gap in the attempts", kind: audit.Torn, object: "finetune.started.recorded.2", text: "is the attempt after 0",
			state: drop("finetune.started."+run+".1", "finetune.attempt_ended."+run+".1")},
		{name: "an attempt that never started", kind: audit.Torn, object: "finetune.attempt_ended.recorded.1", text: "never started",
			state: drop("finetune.started." + run + ".1")},
		{name: "attempts out of order", kind: audit.Torn, object: "finetune.started.recorded.1", text: "stored after attempt 2",
			state: func(t *testing.T, s *audit.State) {
				drop("finetune.attempt_ended."+run+".1")(t, s)
				s.Facts[at(t, s, "finetune.started."+run+".1")].Sequence = s.Facts[at(t, s, "finetune.started."+run+".2")].Sequence + 1
			}},
		{name: "a stale attempt that speaks", kind: audit.Torn, object: "finetune.attempt_ended.recorded.1", text: "stored after attempt 2 had started",
			state: func(t *testing.T, s *audit.State) {
				s.Facts[at(t, s, "finetune.attempt_ended."+run+".1")].Sequence = s.Facts[at(t, s, "finetune.started."+run+".2")].Sequence + 1
			}},
		{name: "an attempt after the completion", kind: audit.Duplicated, object: "finetune.started.recorded.3", text: "after its completion",
			state: fact(started(3), "finetune.completed."+run)},
		{name: "a stale attempt that completes", kind: audit.Duplicated, object: "finetune.completed.recorded", text: "while attempt 3 held the job",
			state: fact(started(3), "finetune.started."+run+".2")},
		{name: "a completion by nobody", kind: audit.Torn, object: "finetune.completed.recorded", text: "which never started",
			state: drop("finetune.started." + run + ".2")},
		{name: "a completion before its start", kind: audit.Torn, object: "finetune.started.recorded.2", text: "after the phase was completed by it",
			state: func(t *testing.T, s *audit.State) {
				s.Facts[at(t, s, "finetune.started."+run+".2")].Sequence = s.Facts[at(t, s, "finetune.completed."+run)].Sequence + 1
			}},
		{name: "an end and a completion", kind: audit.Torn, object: "finetune.attempt_ended.recorded.2", text: "and it completed the phase",
			state: fact(ended, "finetune.started."+run+".2")},
	}
}
