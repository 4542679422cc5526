package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Decoder reads events exactly as [Decode] does, faster: it remembers the
// specifications of the runs that it met last, since most events of a run
// carry the same one and reading that is nearly all of the work, and over
// defaults. The zero Decoder is ready; it may be used by several at once.
type Decoder struct {
	// Defaults is what a stored specification says by keys that it does not
	// have, since they were added later.
	Defaults Specification

	mu    sync.Mutex
	known map[string]*known // by run
	order []string          // of the runs, as a ring
	next  int
}

// known is a specification as it was read, and the JSON that it was read from.
// Neither is ever changed.
type known struct {
	raw   []byte
	value Specification
}

// knownRuns is how many runs a decoder remembers, at some 6 KiB each.
const knownRuns = 128

// Decode reads an event's data.
func (d *Decoder) Decode(typ, schema string, data []byte) (Event, error) {
	return decode(typ, schema, func(of decoder) (Event, error) {
		if of.short == nil {
			return of.read(data)
		}
		run, at := specificationAt(data)
		if k := d.of(run); at > 0 && k != nil && bytes.HasPrefix(data[at:], k.raw) {
			short := make([]byte, 0, len(data)-len(k.raw)+len(cutOut))
			short = append(append(append(short, data[:at]...), cutOut...), data[at+len(k.raw):]...)
			if ev, err := of.short(short, &k.value); err == nil {
				return ev, nil
			} // what is wrong with it is said about the whole
		}
		defaults := d.Defaults.clone()
		ev, err := of.over(data, &defaults)
		if err == nil && at > 0 {
			d.remember(ev, data[at:at+objectEnd(data[at:])])
		}
		return ev, err
	})
}

// of is what is known of a run, or nil.
func (d *Decoder) of(run []byte) *known {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[string(run)]
}

// remember keeps the specification of an event.
func (d *Decoder) remember(ev Event, raw []byte) {
	var run string
	k := &known{raw: bytes.Clone(raw)}
	switch e := ev.(type) {
	case PipelineAccepted:
		run, k.value = e.RunID, e.Specification.clone()
	case PhaseRequested:
		run, k.value = e.RunID, e.Specification.clone()
	default:
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]*known{}
	}
	if _, ok := d.known[run]; !ok {
		if len(d.order) < knownRuns {
			d.order = append(d.order, run)
		} else {
			delete(d.known, d.order[d.next])
			d.order[d.next] = run
			d.next = (d.next + 1) % knownRuns
		}
	}
	d.known[run] = k
}

// clone is a copy that shares nothing.
func (s *Specification) clone() Specification {
	c := *s
	c.FineTuner.TargetModules = slices.Clone(s.FineTuner.TargetModules)
	c.Evaluator.Metrics = slices.Clone(s.Evaluator.Metrics)
	c.Evaluator.Gates = maps.Clone(s.Evaluator.Gates)
	return c
}

const (
	firstMember   = `{"run_id":"`
	specification = `"specification":`
	cutOut        = "{}"
)

// specificationAt finds the run of an event's data and where its
// specification starts, in data that is written as this package writes it;
// anything else is not found, and at is 0.
func specificationAt(data []byte) (run []byte, at int) {
	rest, ok := bytes.CutPrefix(data, []byte(firstMember))
	if !ok {
		return nil, 0
	}
	end := bytes.IndexByte(rest, '"')
	i := bytes.Index(data, []byte(specification))
	// Inside a text the quotes would be escaped, and only flat members may
	// stand before it, so it is the event's own.
	if end < 0 || i < 0 || bytes.ContainsAny(data[1:i], "{[\\") {
		return nil, 0
	}
	at = i + len(specification)
	if at == len(data) || data[at] != '{' {
		return nil, 0
	}
	return rest[:end], at
}

// objectEnd is the length of the JSON object at the start of valid JSON.
func objectEnd(b []byte) int {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// gap is where a specification was cut out, which has to be exactly once.
type gap int

var errCut = errors.New("not the one place where the specification was")

func (g *gap) UnmarshalJSON(b []byte) error {
	if *g++; *g > 1 || string(b) != cutOut {
		return errCut
	}
	return nil
}

func overAccepted(data []byte, s *Specification) (Event, error) {
	ev := PipelineAccepted{Specification: *s}
	err := json.Unmarshal(data, &ev)
	return ev, err
}

func overRequested(data []byte, s *Specification) (Event, error) {
	ev := PhaseRequested{Specification: *s}
	err := json.Unmarshal(data, &ev)
	return ev, err
}

func shortAccepted(data []byte, s *Specification) (Event, error) {
	var short struct {
		PipelineAccepted
		Gap gap `json:"specification"` // it hides the embedded one
	}
	if err := json.Unmarshal(data, &short); err != nil {
		return nil, err
	}
	short.Specification = s.clone()
	return short.PipelineAccepted, nil
}

func shortRequested(data []byte, s *Specification) (Event, error) {
	var short struct {
		PhaseRequested
		Gap gap `json:"specification"` // it hides the embedded one
	}
	if err := json.Unmarshal(data, &short); err != nil {
		return nil, err
	}
	short.Specification = s.clone()
	return short.PhaseRequested, nil
}
