package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// causalityAudit checks that the events of a run follow from each other, from
// its acceptance to its end.
type causalityAudit struct {
	*findings
	consumers []snapshot.Consumer
	ends      map[string][]events.Conclusion // allowed conclusions by run id
}

func (a causalityAudit) check(r *runHistory) {
	if !r.isAccepted() {
		// A cancel request for an unknown run is no fault.
		if r.run.Cancel == nil || len(r.facts) > 1 {
			a.add(Lost, events.PipelineAccepted{RunID: r.id}.Subject(), "is not there, and %s is", r.firstSubject())
		}
		return
	}
	due := a.checkNextEvents(r)
	for _, f := range r.facts {
		switch f.event.(type) {
		case events.PhaseRequested, events.PipelineCompleted:
			if !due[f.Subject] {
				a.add(Torn, f.Subject, "follows from nothing")
			}
		}
	}
	if r.run.Completed == nil {
		a.checkUnended(r, due)
		return
	}
	a.checkConclusion(r)
	a.checkTracked(r)
}

// checkNextEvents checks that the event that follows from each fact is stored
// after it. It returns the subjects of these events.
func (a causalityAudit) checkNextEvents(r *runHistory) map[string]bool {
	due := map[string]bool{}
	var facts []events.Fact
	for _, f := range r.facts {
		facts = append(facts, f.event)
		next, err := events.Next(f.event, events.Fold(facts))
		if err != nil {
			a.add(Torn, f.Subject, "nothing follows: %v", err)
		}
		if next == nil {
			continue
		}
		due[next.Subject()] = true
		i := slices.IndexFunc(r.facts, func(g storedFact) bool { return g.Subject == next.Subject() })
		switch {
		case i < 0:
			a.add(a.missingKind(), next.Subject(), "does not follow %s", f.Subject)
		case r.facts[i].Sequence < f.Sequence:
			a.add(Torn, next.Subject(), "was stored before its cause %s", f.Subject)
		case !sameJSON(next, r.facts[i].event):
			a.add(Torn, next.Subject(), "is not what follows from %s", f.Subject)
		}
	}
	return due
}

// checkUnended reports a run without an end, unless a missing event was
// reported already: then the missing end is only a consequence.
func (a causalityAudit) checkUnended(r *runHistory, due map[string]bool) {
	for _, f := range r.facts {
		delete(due, f.Subject)
	}
	if len(due) == 0 {
		a.add(a.missingKind(), events.PipelineCompleted{RunID: r.id}.Subject(), "the run was accepted and has no end")
	}
}

func (a causalityAudit) checkConclusion(r *runHistory) {
	ends := a.ends[r.id]
	if len(ends) == 0 {
		ends = []events.Conclusion{events.Success}
	}
	completed := *r.run.Completed
	if !slices.Contains(ends, completed.Conclusion) {
		a.add(Failed, completed.Subject(), "concluded with %s, want %v%s", completed.Conclusion, ends, firstError(completed))
	}
}

func (a causalityAudit) checkTracked(r *runHistory) {
	subject := events.TrackingCompleted{RunID: r.id}.Subject()
	switch t := r.run.Tracked; {
	case t == nil:
		a.add(Stuck, subject, "the run has ended and is not tracked")
	case len(t.Gaps) > 0:
		a.add(Torn, subject, "has gaps: %s", strings.Join(t.Gaps, "; "))
	}
}

func firstError(completed events.PipelineCompleted) string {
	for _, p := range completed.Phases {
		if p.Error != nil {
			return fmt.Sprintf(": %s: %s", p.Phase, p.Error.Message)
		}
	}
	return ""
}

// missingKind returns the kind of fault of a missing event: stuck if a message
// that could lead to the event is unsettled, otherwise lost.
func (a causalityAudit) missingKind() Kind {
	for _, c := range a.consumers {
		if c.Unsettled() > 0 && (c.Stream == events.StreamRequests || hasJobs(c)) {
			return Stuck
		}
	}
	return Lost
}

// hasJobs reports whether a consumer delivers the jobs of a phase.
func hasJobs(c snapshot.Consumer) bool {
	p, _, ok := strings.Cut(c.Name, "_")
	return ok && c.Stream == events.StreamFacts && events.Phase(p).Valid()
}

func sameJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
