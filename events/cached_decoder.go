package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Decoder decodes events as [Decode] does, but faster, and with defaults for
// missing keys of a specification. It caches the specifications of the last runs,
// because most events of a run repeat the same one and decoding it takes nearly
// all of the time. The zero Decoder is ready to use; it may be used concurrently.
type Decoder struct {
	// Defaults has the values of keys that a stored specification does not have,
	// because they were added to the contract later.
	Defaults Specification

	mu     sync.Mutex
	cached map[string]*cachedSpecification // by run
	ring   []string                        // the cached runs, in the order of arrival
	next   int                             // the index in ring that is replaced next
}

// cachedSpecification is a decoded specification and its JSON. Neither is ever
// changed.
type cachedSpecification struct {
	raw   []byte
	value Specification
}

// maxCachedRuns is the number of cached runs, about 6 KiB each.
const maxCachedRuns = 128

// Decode decodes the data of an event.
func (d *Decoder) Decode(typ, schema string, data []byte) (Event, error) {
	return decode(typ, schema, func(typ decoder) (Event, error) {
		if typ.readWithout == nil {
			return typ.read(data)
		}
		run, start := findSpecification(data)
		if c := d.lookUp(run); start > 0 && c != nil && bytes.HasPrefix(data[start:], c.raw) {
			short := make([]byte, 0, len(data)-len(c.raw)+len(placeholder))
			short = append(append(append(short, data[:start]...), placeholder...), data[start+len(c.raw):]...)
			if ev, err := typ.readWithout(short, &c.value); err == nil {
				return ev, nil
			} // otherwise decode all of it, for an error about the original data
		}
		defaults := d.Defaults.clone()
		ev, err := typ.readOver(data, &defaults)
		if err == nil && start > 0 {
			d.store(ev, data[start:start+objectEnd(data[start:])])
		}
		return ev, err
	})
}

// lookUp returns the cached specification of a run, or nil.
func (d *Decoder) lookUp(run []byte) *cachedSpecification {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cached[string(run)]
}

// store caches the specification of an event. If the cache is full, it replaces
// the oldest run.
func (d *Decoder) store(ev Event, raw []byte) {
	var run string
	c := &cachedSpecification{raw: bytes.Clone(raw)}
	switch e := ev.(type) {
	case PipelineAccepted:
		run, c.value = e.RunID, e.Specification.clone()
	case PhaseRequested:
		run, c.value = e.RunID, e.Specification.clone()
	default:
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cached == nil {
		d.cached = map[string]*cachedSpecification{}
	}
	if _, ok := d.cached[run]; !ok {
		if len(d.ring) < maxCachedRuns {
			d.ring = append(d.ring, run)
		} else {
			delete(d.cached, d.ring[d.next])
			d.ring[d.next] = run
			d.next = (d.next + 1) % maxCachedRuns
		}
	}
	d.cached[run] = c
}

// clone returns a deep copy.
func (s *Specification) clone() Specification {
	c := *s
	c.FineTuner.TargetModules = slices.Clone(s.FineTuner.TargetModules)
	c.Evaluator.Metrics = slices.Clone(s.Evaluator.Metrics)
	c.Evaluator.Gates = maps.Clone(s.Evaluator.Gates)
	return c
}

const (
	firstMember         = `{"run_id":"`
	specificationMember = `"specification":`
	placeholder         = "{}" // in place of a specification that was cut out
)

// findSpecification returns the run of an event and the start of its specification,
// if the data has the form that this package encodes: run_id is the first member,
// and only flat members come before specification. Otherwise start is 0.
func findSpecification(data []byte) (run []byte, start int) {
	rest, ok := bytes.CutPrefix(data, []byte(firstMember))
	if !ok {
		return nil, 0
	}
	end := bytes.IndexByte(rest, '"')
	i := bytes.Index(data, []byte(specificationMember))
	// This is the member of the event itself: in a text the quotes would be
	// escaped, and there is no nested value before it.
	if end < 0 || i < 0 || bytes.ContainsAny(data[1:i], "{[\\") {
		return nil, 0
	}
	start = i + len(specificationMember)
	if start == len(data) || data[start] != '{' {
		return nil, 0
	}
	return rest[:end], start
}

// objectEnd returns the length of the JSON object at the start of valid JSON.
func objectEnd(b []byte) int {
	depth, inText := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
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

// placeholderField decodes the placeholder. It checks that the placeholder occurs
// exactly once, because a duplicate member would replace the specification.
type placeholderField int

var errNoPlaceholder = errors.New("not the one place where the specification was")

func (p *placeholderField) UnmarshalJSON(b []byte) error {
	if *p++; *p > 1 || string(b) != placeholder {
		return errNoPlaceholder
	}
	return nil
}

func acceptedOver(data []byte, s *Specification) (Event, error) {
	ev := PipelineAccepted{Specification: *s}
	err := json.Unmarshal(data, &ev)
	return ev, err
}

func requestedOver(data []byte, s *Specification) (Event, error) {
	ev := PhaseRequested{Specification: *s}
	err := json.Unmarshal(data, &ev)
	return ev, err
}

func acceptedWithout(data []byte, s *Specification) (Event, error) {
	var short struct {
		PipelineAccepted
		Placeholder placeholderField `json:"specification"` // hides the field of the embedded struct
	}
	if err := json.Unmarshal(data, &short); err != nil {
		return nil, err
	}
	short.Specification = s.clone()
	return short.PipelineAccepted, nil
}

func requestedWithout(data []byte, s *Specification) (Event, error) {
	var short struct {
		PhaseRequested
		Placeholder placeholderField `json:"specification"` // hides the field of the embedded struct
	}
	if err := json.Unmarshal(data, &short); err != nil {
		return nil, err
	}
	short.Specification = s.clone()
	return short.PhaseRequested, nil
}
