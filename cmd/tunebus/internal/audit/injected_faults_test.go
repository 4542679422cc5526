package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// injectedFault is a fault that a test adds to a correct recording, and the finding
// that it must lead to.
type injectedFault struct {
	name string
	// folders changes the files before they are read; state changes the state
	// after it was read.
	folders func(t *testing.T, b recording)
	state   func(t *testing.T, s *snapshot.State)
	kind    audit.Kind
	object  string // a part of the object
	text    string // a part of the text
	// also is the number of further faults with the same cause.
	also int
}

// TestInjectedFaults adds one fault at a time to a correct recording: exactly this
// fault is found.
func TestInjectedFaults(t *testing.T) {
	t.Parallel()
	correct := record(t)
	if faults := audit.Check(correct.read(t)); len(faults) > 0 {
		t.Fatalf("the correct recording has faults:\n%s", lines(faults))
	}
	for _, p := range slices.Concat(injectedFactFaults(), injectedAttemptFaults(), injectedStepFaults(), injectedTrackingFaults(), injectedFileFaults()) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := correct.copy(t)
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

// indexOf returns the index of the fact with a subject.
func indexOf(t *testing.T, s *snapshot.State, subject string) int {
	t.Helper()
	i := slices.IndexFunc(s.Facts, func(m snapshot.Message) bool { return m.Subject == subject })
	if i < 0 {
		t.Fatalf("no %s is recorded", subject)
	}
	return i
}

// dropFacts removes facts.
func dropFacts(subjects ...string) func(*testing.T, *snapshot.State) {
	return func(t *testing.T, s *snapshot.State) {
		for _, subject := range subjects {
			i := indexOf(t, s, subject)
			s.Facts = slices.Delete(s.Facts, i, i+1)
		}
	}
}

// putFact adds a fact directly after another one. If after is empty, it replaces
// the fact with the same subject.
func putFact(ev events.Event, after string) func(*testing.T, *snapshot.State) {
	return func(t *testing.T, s *snapshot.State) {
		t.Helper()
		m := message(t, ev)
		if i := slices.IndexFunc(s.Facts, func(m snapshot.Message) bool { return m.Subject == ev.Subject() }); i >= 0 && after == "" {
			m.Sequence = s.Facts[i].Sequence
			s.Facts[i] = m
			return
		}
		i := indexOf(t, s, after)
		m.Sequence = s.Facts[i].Sequence + 1
		s.Facts = slices.Insert(s.Facts, i+1, m)
	}
}

// changeFact changes a recorded fact.
func changeFact[E events.Event](subject string, change func(*E)) func(*testing.T, *snapshot.State) {
	return func(t *testing.T, s *snapshot.State) {
		t.Helper()
		var e E
		unwrap(t, s.Facts[indexOf(t, s, subject)].Body, &e)
		change(&e)
		putFact(e, "")(t, s)
	}
}

func injectedFactFaults() []injectedFault {
	return []injectedFault{
		{name: "a request without a response", kind: audit.Lost, object: "request 9", text: "neither accepted nor rejected",
			state: func(_ *testing.T, s *snapshot.State) { s.Requests = append(s.Requests, snapshot.Message{Sequence: 9}) }},
		{name: "a request with two responses", kind: audit.Duplicated, object: "request 1", text: "pipeline.accepted.recorded and pipeline.rejected.1",
			state: func(t *testing.T, s *snapshot.State) {
				putFact(events.PipelineRejected{RequestSequence: 1}, "tracking.completed."+run)(t, s)
			}},
		{name: "a response to no request", kind: audit.Torn, object: "pipeline.rejected.77", text: "does not exist",
			state: putFact(events.PipelineRejected{RequestSequence: 77}, "tracking.completed."+run)},
		{name: "an accepted run with no job", kind: audit.Lost, object: "finetune.requested.second.builtin", text: "does not follow",
			state: addSecondRun},
		{name: "a job without a worker", kind: audit.Stuck, object: "finetune.requested.second.builtin", text: "does not follow", also: 1,
			state: func(t *testing.T, s *snapshot.State) {
				addSecondRun(t, s)
				i := slices.IndexFunc(s.Consumers, func(c snapshot.Consumer) bool { return c.Name == "intake" })
				s.Consumers[i].AckPending = 1
			}},
		{name: "a job that was lost", kind: audit.Lost, object: "pipeline.completed.second", text: "has no end",
			state: func(t *testing.T, s *snapshot.State) {
				addSecondRun(t, s)
				var accepted events.PipelineAccepted
				unwrap(t, s.Facts[indexOf(t, s, "pipeline.accepted.second")].Body, &accepted)
				job, err := events.Next(accepted, events.Run{})
				if err != nil {
					t.Fatal(err)
				}
				putFact(job, "pipeline.accepted.second")(t, s)
			}},
		{name: "a run that was not accepted", kind: audit.Lost, object: "pipeline.accepted.unknown", text: "evaluation.started.unknown.1 is",
			state: putFact(events.PhaseStarted{RunID: "unknown", Phase: events.Evaluation, Attempt: 1}, "tracking.completed."+run)},
		{name: "a run without its end", kind: audit.Lost, object: "pipeline.completed.recorded", text: "does not follow evaluation.completed.recorded",
			state: dropFacts("pipeline.completed." + run)},
		{name: "a fact twice", kind: audit.Duplicated, object: "finetune.completed.recorded", text: "stored a second time",
			state: func(t *testing.T, s *snapshot.State) {
				m := s.Facts[indexOf(t, s, "finetune.completed."+run)]
				s.Facts = append(s.Facts, m)
			}},
		{name: "a fact that cannot be read", kind: audit.Torn, object: "pipeline.cancel_requested.recorded", text: "cannot be read",
			state: func(_ *testing.T, s *snapshot.State) {
				s.Facts = append(s.Facts, snapshot.Message{Subject: "pipeline.cancel_requested." + run, Body: []byte("{")})
			}},
		{name: "a fact on another's subject", kind: audit.Torn, object: "pipeline.cancel_requested.other", text: "it is the event",
			state: func(t *testing.T, s *snapshot.State) {
				putFact(events.CancelRequested{RunID: run}, "tracking.completed."+run)(t, s)
				s.Facts[len(s.Facts)-1].Subject = "pipeline.cancel_requested.other"
			}},
		{name: "another job than follows", kind: audit.Torn, object: "inference.requested.recorded.builtin", text: "is not what follows from finetune.completed.recorded",
			state: changeFact("inference.requested."+run+".builtin", func(e *events.PhaseRequested) { e.RunName = "another" })},
		{name: "a job that follows from nothing", kind: audit.Torn, object: "evaluation.requested.recorded.other", text: "follows from nothing",
			state: putFact(events.PhaseRequested{RunID: run, Phase: events.Evaluation, Queue: "other"}, "evaluation.started."+run+".1")},
		{name: "an effect before its cause", kind: audit.Torn, object: "inference.requested.recorded.builtin", text: "before its cause",
			state: func(t *testing.T, s *snapshot.State) {
				i, j := indexOf(t, s, "inference.requested."+run+".builtin"), indexOf(t, s, "finetune.completed."+run)
				s.Facts[i].Sequence = s.Facts[j].Sequence - 1
			}},
		{name: "a run that is not tracked", kind: audit.Stuck, object: "tracking.completed.recorded", text: "is not tracked",
			state: dropFacts("tracking.completed." + run)},
		{name: "a run with gaps", kind: audit.Torn, object: "tracking.completed.recorded", text: "nowhere to be found",
			state: changeFact("tracking.completed."+run, func(e *events.TrackingCompleted) { e.Gaps = []string{"nowhere to be found"} })},
		{name: "a run that ended otherwise", kind: audit.Failed, object: "pipeline.completed.recorded", text: "concluded with success, want [cancelled]",
			state: func(_ *testing.T, s *snapshot.State) {
				s.Ends = map[string][]events.Conclusion{run: {events.Cancelled}}
			}},
		{name: "a message that is not settled", kind: audit.Stuck, object: "TUNEBUS/tracker", text: "2 are not settled",
			state: func(_ *testing.T, s *snapshot.State) {
				i := slices.IndexFunc(s.Consumers, func(c snapshot.Consumer) bool { return c.Name == "tracker" })
				s.Consumers[i].AckPending = 2
			}},
		{name: "a dead letter", kind: audit.Lost, object: "dead.TUNEBUS.5", text: "dead letter",
			state: func(_ *testing.T, s *snapshot.State) {
				s.Dead = append(s.Dead, snapshot.Message{Subject: "dead.TUNEBUS.5"})
			}},
		{name: "two dead letters of a message", kind: audit.Duplicated, object: "dead.TUNEBUS_REQUESTS.2", text: "second dead letter",
			state: func(_ *testing.T, s *snapshot.State) {
				deadLetter := snapshot.Message{Subject: "dead.TUNEBUS_REQUESTS.2"} // the recorded request 2 was rejected
				s.Dead = append(s.Dead, deadLetter, deadLetter)
			}},
	}
}

// addSecondRun adds another run that is accepted and has no job.
func addSecondRun(t *testing.T, s *snapshot.State) {
	t.Helper()
	var accepted events.PipelineAccepted
	unwrap(t, s.Facts[indexOf(t, s, "pipeline.accepted."+run)].Body, &accepted)
	accepted.RunID, accepted.Lineage.RequestSequence = "second", 9
	s.Requests = append(s.Requests, snapshot.Message{Sequence: 9})
	putFact(accepted, "tracking.completed."+run)(t, s)
}

func injectedAttemptFaults() []injectedFault {
	started := func(n int) events.PhaseStarted {
		return events.PhaseStarted{RunID: run, Phase: events.Finetune, Attempt: n}
	}
	ended := events.AttemptEnded{RunID: run, Phase: events.Finetune, Attempt: 2, Reason: events.EndError}
	return []injectedFault{
		{name: "a gap in the attempts", kind: audit.Torn, object: "finetune.started.recorded.2", text: "is the attempt after 0",
			state: dropFacts("finetune.started."+run+".1", "finetune.attempt_ended."+run+".1")},
		{name: "an attempt that never started", kind: audit.Torn, object: "finetune.attempt_ended.recorded.1", text: "never started",
			state: dropFacts("finetune.started." + run + ".1")},
		{name: "attempts out of order", kind: audit.Torn, object: "finetune.started.recorded.1", text: "stored after attempt 2",
			state: func(t *testing.T, s *snapshot.State) {
				dropFacts("finetune.attempt_ended."+run+".1")(t, s)
				s.Facts[indexOf(t, s, "finetune.started."+run+".1")].Sequence = s.Facts[indexOf(t, s, "finetune.started."+run+".2")].Sequence + 1
			}},
		{name: "a stale attempt that publishes its end", kind: audit.Torn, object: "finetune.attempt_ended.recorded.1", text: "stored after attempt 2 had started",
			state: func(t *testing.T, s *snapshot.State) {
				s.Facts[indexOf(t, s, "finetune.attempt_ended."+run+".1")].Sequence = s.Facts[indexOf(t, s, "finetune.started."+run+".2")].Sequence + 1
			}},
		{name: "an attempt after the completion", kind: audit.Duplicated, object: "finetune.started.recorded.3", text: "after its completion",
			state: putFact(started(3), "finetune.completed."+run)},
		{name: "a stale attempt that completes", kind: audit.Duplicated, object: "finetune.completed.recorded", text: "while attempt 3 owned the job",
			state: putFact(started(3), "finetune.started."+run+".2")},
		{name: "a completion by an attempt that never started", kind: audit.Torn, object: "finetune.completed.recorded", text: "which never started",
			state: dropFacts("finetune.started." + run + ".2")},
		{name: "a completion before its start", kind: audit.Torn, object: "finetune.started.recorded.2", text: "after the phase was completed by it",
			state: func(t *testing.T, s *snapshot.State) {
				s.Facts[indexOf(t, s, "finetune.started."+run+".2")].Sequence = s.Facts[indexOf(t, s, "finetune.completed."+run)].Sequence + 1
			}},
		{name: "an end and a completion", kind: audit.Torn, object: "finetune.attempt_ended.recorded.2", text: "and it completed the phase",
			state: putFact(ended, "finetune.started."+run+".2")},
	}
}
