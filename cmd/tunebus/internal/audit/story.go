package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// story is all that the stream tells of a run.
type story struct {
	id       string
	accepted events.PipelineAccepted
	facts    []fact
	fold     events.Run
	points   map[events.Phase][]announced
}

// fact is a stored fact.
type fact struct {
	Message
	what events.Fact
}

// announced is a stored progress.
type announced struct {
	Message
	what events.Progress
}

// envelope is what is read of a CloudEvent.
type envelope struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Schema string          `json:"dataschema"`
	Data   json.RawMessage `json:"data"`
}

func decode(m Message) (events.Event, error) {
	var e envelope
	if err := json.Unmarshal(m.Body, &e); err != nil {
		return nil, err
	}
	ev, err := events.Decode(e.Type, e.Schema, e.Data)
	if err == nil && (ev.Subject() != m.Subject || e.ID != m.ID) {
		err = fmt.Errorf("it is the event %s of %s", e.ID, ev.Subject())
	}
	return ev, err
}

// read sorts the messages by run.
func (c *check) read() {
	c.runs, c.answers, c.refs = map[string]*story{}, map[uint64][]string{}, map[string]bool{}
	of := func(id string) *story {
		if c.runs[id] == nil {
			c.runs[id] = &story{id: id, points: map[events.Phase][]announced{}}
			c.order = append(c.order, id)
		}
		return c.runs[id]
	}
	seen := map[string]bool{}
	bySequence := func(a, b Message) int { return cmp.Compare(a.Sequence, b.Sequence) }
	for _, m := range slices.SortedFunc(slices.Values(c.state.Facts), bySequence) {
		if seen[m.Subject] {
			c.add(Duplicated, m.Subject, "is stored a second time, at %d", m.Sequence)
			continue
		}
		seen[m.Subject] = true
		if events.IsRetry(m.Subject) {
			continue // says nothing new about its run
		}
		ev, err := decode(m)
		if err != nil {
			c.add(Torn, m.Subject, "cannot be read: %v", err)
			continue
		}
		switch e := ev.(type) {
		case events.PipelineRejected:
			c.answers[e.RequestSequence] = append(c.answers[e.RequestSequence], m.Subject)
			continue
		case events.PipelineAccepted:
			c.answers[e.Lineage.RequestSequence] = append(c.answers[e.Lineage.RequestSequence], m.Subject)
			of(e.RunID).accepted = e
		}
		f, ok := ev.(events.Fact)
		if !ok {
			c.add(Torn, m.Subject, "is no fact")
			continue
		}
		r := of(f.Run())
		r.facts = append(r.facts, fact{m, f})
	}
	for _, m := range c.state.Metrics {
		if ev, err := decode(m); err != nil {
			c.add(Torn, m.Subject, "cannot be read: %v", err)
		} else if p, ok := ev.(events.Progress); ok {
			r := of(p.RunID)
			r.points[p.Phase] = append(r.points[p.Phase], announced{m, p})
		}
	}
	for _, r := range c.runs {
		var facts []events.Fact
		for _, f := range r.facts {
			facts = append(facts, f.what)
		}
		r.fold = events.Fold(facts)
	}
}

// requests wants one answer to each.
func (c *check) requests() {
	asked := map[uint64]bool{}
	for _, m := range c.state.Requests {
		asked[m.Sequence] = true
		switch got := c.answers[m.Sequence]; len(got) {
		case 0:
			c.add(Lost, fmt.Sprintf("request %d", m.Sequence), "was neither accepted nor rejected")
		case 1:
		default:
			c.add(Duplicated, fmt.Sprintf("request %d", m.Sequence), "was answered by %s", strings.Join(got, " and "))
		}
	}
	for seq, subjects := range c.answers {
		if !asked[seq] {
			c.add(Torn, subjects[0], "answers request %d, which nobody made", seq)
		}
	}
}

// story wants what follows from each fact, and no more than that, to the end.
func (c *check) story(r *story) {
	if r.fold.Accepted == nil {
		if r.fold.Cancel == nil || len(r.facts) > 1 { // a cancel of a run that nobody knows is no fault
			c.add(Lost, events.PipelineAccepted{RunID: r.id}.Subject(), "is not there, and %s is", r.first())
		}
		return
	}
	want := map[string]bool{}
	var before []events.Fact
	for _, f := range r.facts {
		before = append(before, f.what)
		next, err := events.Next(f.what, events.Fold(before))
		if err != nil {
			c.add(Torn, f.Subject, "nothing follows: %v", err)
		}
		if next == nil {
			continue
		}
		want[next.Subject()] = true
		i := slices.IndexFunc(r.facts, func(g fact) bool { return g.Subject == next.Subject() })
		switch {
		case i < 0:
			c.add(c.missing(), next.Subject(), "does not follow %s", f.Subject)
		case r.facts[i].Sequence < f.Sequence:
			c.add(Torn, next.Subject(), "was stored before its cause %s", f.Subject)
		case !same(next, r.facts[i].what):
			c.add(Torn, next.Subject(), "is not what follows from %s", f.Subject)
		}
	}
	for _, f := range r.facts {
		switch f.what.(type) {
		case events.PhaseRequested, events.PipelineCompleted:
			if !want[f.Subject] {
				c.add(Torn, f.Subject, "follows from nothing")
			}
		}
	}
	c.end(r, want)
}

func (r *story) first() string {
	if len(r.facts) > 0 {
		return r.facts[0].Subject
	}
	return "a metric point"
}

// end looks at how the run ended. What follows from its facts is wanted, and
// has been looked for.
func (c *check) end(r *story, want map[string]bool) {
	subject := events.PipelineCompleted{RunID: r.id}.Subject()
	done := r.fold.Completed
	if done == nil {
		for _, f := range r.facts {
			delete(want, f.Subject)
		}
		if len(want) == 0 { // else it is known where it stopped
			c.add(c.missing(), subject, "the run was accepted and has no end")
		}
		return
	}
	ends := c.state.Ends[r.id]
	if len(ends) == 0 {
		ends = []events.Conclusion{events.Success}
	}
	if !slices.Contains(ends, done.Conclusion) {
		c.add(Failed, subject, "concluded with %s, want %v%s", done.Conclusion, ends, why(*done))
	}
	tracked := events.TrackingCompleted{RunID: r.id}.Subject()
	switch t := r.fold.Tracked; {
	case t == nil:
		c.add(Stuck, tracked, "the run has ended and is not tracked")
	case len(t.Gaps) > 0:
		c.add(Torn, tracked, "has gaps: %s", strings.Join(t.Gaps, "; "))
	}
}

func why(done events.PipelineCompleted) string {
	for _, p := range done.Phases {
		if p.Error != nil {
			return fmt.Sprintf(": %s: %s", p.Phase, p.Error.Message)
		}
	}
	return ""
}

// missing is what became of something that is not there: it is stuck while a
// message that leads to it is unsettled, and lost when none is.
func (c *check) missing() Kind {
	for _, consumer := range c.state.Consumers {
		if consumer.Pending+consumer.Held > 0 && (consumer.Stream == events.StreamRequests || isJobs(consumer)) {
			return Stuck
		}
	}
	return Lost
}

// isJobs reports whether a consumer hands out the jobs of a phase.
func isJobs(c Consumer) bool {
	p, _, ok := strings.Cut(c.Name, "_")
	return ok && c.Stream == events.StreamFacts && events.Phase(p).Valid()
}

func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
