package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// history is the content of the streams.
type history struct {
	runs []*runHistory // in the order of their first facts
	// responses are the subjects of the responses to each request.
	responses map[uint64][]string
}

// runHistory is the content of the streams about one run.
type runHistory struct {
	id       string
	accepted events.PipelineAccepted
	facts    []storedFact
	run      events.Run
	progress map[events.Phase][]storedProgress
}

type storedFact struct {
	snapshot.Message
	event events.Fact
}

type storedProgress struct {
	snapshot.Message
	event events.Progress
}

func (r *runHistory) firstSubject() string {
	if len(r.facts) > 0 {
		return r.facts[0].Subject
	}
	return "a metric point"
}

// isAccepted reports whether the run was accepted.
func (r *runHistory) isAccepted() bool { return r.run.Accepted != nil }

// isDeleted reports whether a person deleted the run.
func (r *runHistory) isDeleted() bool { return r.run.Deleted != nil }

// isTracked reports whether the run has ended and is tracked. If it is not, that
// is a fault already, and neither MLflow runs nor reports can be expected.
func (r *runHistory) isTracked() bool { return r.run.Completed != nil && r.run.Tracked != nil }

// find returns the run with an id, or nil.
func (h history) find(id string) *runHistory {
	for _, r := range h.runs {
		if r.id == id {
			return r
		}
	}
	return nil
}

// historyReader groups messages by run.
type historyReader struct {
	*findings
	history
	byID map[string]*runHistory
	seen map[string]bool // subjects
}

func readHistory(s snapshot.State, found *findings) history {
	r := historyReader{
		findings: found,
		history:  history{responses: map[uint64][]string{}},
		byID:     map[string]*runHistory{},
		seen:     map[string]bool{},
	}
	bySequence := func(a, b snapshot.Message) int { return cmp.Compare(a.Sequence, b.Sequence) }
	for _, m := range slices.SortedFunc(slices.Values(s.Facts), bySequence) {
		r.readFact(m)
	}
	for _, m := range s.Metrics {
		r.readMetric(m)
	}
	for _, run := range r.runs {
		var facts []events.Fact
		for _, f := range run.facts {
			facts = append(facts, f.event)
		}
		run.run = events.Fold(facts)
	}
	return r.history
}

func (r *historyReader) of(id string) *runHistory {
	if r.byID[id] == nil {
		r.byID[id] = &runHistory{id: id, progress: map[events.Phase][]storedProgress{}}
		r.runs = append(r.runs, r.byID[id])
	}
	return r.byID[id]
}

func (r *historyReader) readFact(m snapshot.Message) {
	if r.seen[m.Subject] {
		r.add(Duplicated, m.Subject, "is stored a second time, at %d", m.Sequence)
		return
	}
	r.seen[m.Subject] = true
	if events.IsRedrive(m.Subject) {
		return // a redriven copy has no new information about its run
	}
	ev, err := decode(m)
	if err != nil {
		r.add(Torn, m.Subject, "cannot be read: %v", err)
		return
	}
	switch e := ev.(type) {
	case events.PipelineRejected:
		r.responses[e.RequestSequence] = append(r.responses[e.RequestSequence], m.Subject)
		return
	case events.PipelineAccepted:
		r.responses[e.Lineage.RequestSequence] = append(r.responses[e.Lineage.RequestSequence], m.Subject)
		r.of(e.RunID).accepted = e
	case events.PipelineDeleted:
		if e.RequestSequence > 0 {
			r.responses[e.RequestSequence] = append(r.responses[e.RequestSequence], m.Subject)
		}
	}
	fact, ok := ev.(events.Fact)
	if !ok {
		r.add(Torn, m.Subject, "is no fact")
		return
	}
	run := r.of(fact.Run())
	run.facts = append(run.facts, storedFact{m, fact})
}

func (r *historyReader) readMetric(m snapshot.Message) {
	ev, err := decode(m)
	if err != nil {
		r.add(Torn, m.Subject, "cannot be read: %v", err)
		return
	}
	if p, ok := ev.(events.Progress); ok {
		run := r.of(p.RunID)
		run.progress[p.Phase] = append(run.progress[p.Phase], storedProgress{m, p})
	}
}

// envelope is the part of a CloudEvent that the audit reads.
type envelope struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Schema string          `json:"dataschema"`
	Data   json.RawMessage `json:"data"`
}

func decode(m snapshot.Message) (events.Event, error) {
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
