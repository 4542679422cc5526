package events_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// The tests here find an event that was added in one place and forgotten in
// another, see "Add an event" in CONTRIBUTING.md.

// matches reports whether a subject matches a filter. Its only wildcard is *.
func matches(filter, subject string) bool {
	want, got := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if i >= len(got) || token != "*" && token != got[i] {
			return false
		}
	}
	return len(want) == len(got)
}

// count returns how many of the filters match a subject.
func count(filters []string, subject string) int {
	n := 0
	for _, f := range filters {
		if matches(f, subject) {
			n++
		}
	}
	return n
}

// TestEveryEventIsInOneStream: the subject of each event is one of a single
// stream, and each subject of a stream is one of an event.
func TestEveryEventIsInOneStream(t *testing.T) {
	t.Parallel()
	var subjects []string
	for _, typ := range events.Types() {
		ev := events.New(typ)
		subject := ev.Subject()
		subjects = append(subjects, subject)
		_, isFact := ev.(events.Fact)
		inFacts, inMetrics := count(events.FactSubjects(), subject), count(append(events.MetricSubjects(), events.LogSubjects()...), subject)
		switch {
		case typ == events.TypePipelineRequested:
			if isFact || inFacts+inMetrics > 0 {
				t.Errorf("%s is a request, and no fact and no metric point", typ)
			}
		case isFact && (inFacts != 1 || inMetrics != 0):
			t.Errorf("the fact %s matches %d of FactSubjects, want 1, and %d of MetricSubjects and LogSubjects, want 0", subject, inFacts, inMetrics)
		case !isFact && (inFacts != 0 || inMetrics != 1):
			t.Errorf("%s has no Run, so it is no fact. It matches %d of MetricSubjects and LogSubjects, want 1, and %d of FactSubjects, want 0", subject, inMetrics, inFacts)
		}
	}
	for name, filters := range map[string][]string{
		"FactSubjects": events.FactSubjects(), "MetricSubjects": events.MetricSubjects(), "TrackedSubjects": events.TrackedSubjects(), "LogSubjects": events.LogSubjects(),
	} {
		for _, filter := range filters {
			found := 0
			for _, subject := range subjects {
				found += count([]string{filter}, subject)
			}
			if found != 1 {
				t.Errorf("%s: %d events match %s, want 1", name, found, filter)
			}
		}
	}
}

// TestFoldHandlesEveryFact: no fact is without an effect on the state of its
// run.
func TestFoldHandlesEveryFact(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		fact, ok := events.New(typ).(events.Fact)
		if !ok {
			continue
		}
		if run := events.Fold([]events.Fact{fact}); reflect.DeepEqual(run, events.Run{ID: fact.Run()}) {
			t.Errorf("Fold ignores %s", typ)
		}
	}
}
