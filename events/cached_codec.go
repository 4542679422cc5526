package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Codec encodes and decodes events as [json.Marshal] and [Decode] do, but faster, and
// with defaults for missing keys of a specification. It caches the specifications of
// the last runs, because most events of a run repeat the same one, and it takes nearly
// all of the time. The zero Codec is ready to use; it may be used concurrently.
type Codec struct {
	// Defaults has the values of keys that a stored specification does not have,
	// because they were added to the contract later.
	Defaults Specification

	mu     sync.Mutex
	cached map[string]*cachedSpecification // by run
	newest *cachedSpecification            // runs often have the specification of the run before
	ring   []string                        // the cached runs, in the order of arrival
	next   int                             // the index in ring that is replaced next
}

// cachedSpecification is a specification and its JSON. None of it is ever changed.
type cachedSpecification struct {
	raw   []byte
	value Specification
	// canonical is true if this program writes value as raw. Another version may have
	// written it with fewer keys.
	canonical bool
}

// maxCachedRuns is the number of cached runs, about 6 KiB each.
const maxCachedRuns = 128

// Decode decodes the data of an event.
func (c *Codec) Decode(typ, schema string, data []byte) (Event, error) {
	return decode(typ, schema, func(typ decoder) (Event, error) {
		if typ.readWithout == nil {
			return typ.read(data)
		}
		run, start := findSpecification(data)
		if s := c.lookUp(run); start > 0 && s != nil && bytes.HasPrefix(data[start:], s.raw) {
			short := splice(data, start, len(s.raw), []byte(placeholder))
			if ev, err := typ.readWithout(short, &s.value); err == nil {
				c.store(string(run), s)
				return ev, nil
			} // otherwise decode all of it, for an error about the original data
		}
		defaults := c.Defaults.clone()
		ev, err := typ.readOver(data, &defaults)
		if err == nil && start > 0 {
			if run, s := specificationOf(ev); s != nil {
				c.store(run, &cachedSpecification{raw: bytes.Clone(rawAt(data, start)), value: s.clone()})
			}
		}
		return ev, err
	})
}

// Encode returns the JSON of an event. A specification is encoded once, and repeated in
// the jobs of its run.
func (c *Codec) Encode(ev Event) ([]byte, error) {
	run, value := specificationOf(ev)
	if value == nil {
		return json.Marshal(ev)
	}
	cached := c.lookUp([]byte(run))
	if cached != nil && cached.canonical && cached.is(value) {
		short, err := json.Marshal(withoutSpecification(ev))
		if err != nil {
			return nil, err
		}
		c.store(run, cached)
		if _, start := findSpecification(short); start > 0 {
			return splice(short, start, len(placeholder), cached.raw), nil
		}
	}
	data, err := json.Marshal(ev)
	if err != nil {
		return nil, err
	}
	if _, start := findSpecification(data); start > 0 {
		c.learn(run, rawAt(data, start), value, cached)
	}
	return data, nil
}

// learn caches a specification that was encoded as raw, unless decoding raw may have
// another result: texts that are no UTF-8 are changed, tables without entries are left
// out, and the arguments of templates are put into order.
func (c *Codec) learn(run string, raw []byte, value *Specification, cached *cachedSpecification) {
	switch {
	case cached != nil && bytes.Equal(cached.raw, raw) && cached.is(value):
		c.store(run, &cachedSpecification{raw: cached.raw, value: cached.value, canonical: true})
	case bytes.Contains(raw, []byte(`\ufffd`)),
		isEmptyTable(value.Evaluator.Gates) || isEmptyTable(value.FineTuner.RankPattern) || isEmptyTable(value.FineTuner.AlphaPattern),
		value.FineTuner.ModulesToSave != nil && len(value.FineTuner.ModulesToSave) == 0,
		value.Inferencer.Stop != nil && len(value.Inferencer.Stop) == 0,
		value.FineTuner.ChatTemplateKwargs != "" || value.Inferencer.ChatTemplateKwargs != "" || value.FineTuner.LRSchedulerKwargs != "":
	default:
		c.store(run, &cachedSpecification{raw: bytes.Clone(raw), value: value.clone(), canonical: true})
	}
}

// isEmptyTable reports whether a table has no entries, but is not missing.
func isEmptyTable(t map[string]float64) bool { return t != nil && len(t) == 0 }

// is reports whether a specification is the cached one.
func (c *cachedSpecification) is(s *Specification) bool {
	return equal(reflect.ValueOf(&c.value).Elem(), reflect.ValueOf(s).Elem())
}

// equal is [reflect.DeepEqual] for values of one type, in a third of its time.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int:
		return a.Int() == b.Int()
	case reflect.Float64:
		return a.Float() == b.Float()
	default:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
}

// specificationOf returns the specification of an event and its run; nil if it has none.
func specificationOf(ev Event) (run string, s *Specification) {
	switch e := ev.(type) {
	case PipelineAccepted:
		return e.RunID, &e.Specification
	case PhaseRequested:
		return e.RunID, &e.Specification
	}
	return "", nil
}

// lookUp returns the cached specification of a run, or else that of the newest one; nil
// if there is none.
func (c *Codec) lookUp(run []byte) *cachedSpecification {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.cached[string(run)]; s != nil {
		return s
	}
	return c.newest
}

// store caches the specification of a run. If the cache is full, it replaces the oldest
// run.
func (c *Codec) store(run string, s *cachedSpecification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = s
	if c.cached[run] == s {
		return
	}
	if c.cached == nil {
		c.cached = map[string]*cachedSpecification{}
	}
	if _, ok := c.cached[run]; !ok {
		if len(c.ring) < maxCachedRuns {
			c.ring = append(c.ring, run)
		} else {
			delete(c.cached, c.ring[c.next])
			c.ring[c.next] = run
			c.next = (c.next + 1) % maxCachedRuns
		}
	}
	c.cached[run] = s
}

// clone returns a deep copy.
func (s *Specification) clone() Specification {
	c := *s
	c.FineTuner.TargetModules = slices.Clone(s.FineTuner.TargetModules)
	c.FineTuner.ModulesToSave = slices.Clone(s.FineTuner.ModulesToSave)
	c.Inferencer.Stop = slices.Clone(s.Inferencer.Stop)
	c.FineTuner.RankPattern = maps.Clone(s.FineTuner.RankPattern)
	c.FineTuner.AlphaPattern = maps.Clone(s.FineTuner.AlphaPattern)
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

// rawAt returns the JSON object that starts at an index of valid JSON.
func rawAt(data []byte, start int) []byte {
	return data[start : start+objectEnd(data[start:])]
}

// splice returns a copy of data in which the n bytes from start on are replaced.
func splice(data []byte, start, n int, by []byte) []byte {
	out := make([]byte, 0, len(data)-n+len(by))
	return append(append(append(out, data[:start]...), by...), data[start+n:]...)
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

// shortAccepted and shortRequested are a [PipelineAccepted] and a [PhaseRequested] with
// the placeholder in place of the specification. They have the same fields in the same
// order.
type (
	shortAccepted struct {
		RunID         string            `json:"run_id"`
		RunName       string            `json:"run_name"`
		RequestedAt   time.Time         `json:"requested_at"`
		Specification struct{}          `json:"specification"`
		Plan          []Step            `json:"plan"`
		Labels        map[string]string `json:"labels,omitempty"`
		Inputs        Inputs            `json:"inputs,omitzero"`
		Lineage       Lineage           `json:"lineage,omitzero"`
	}
	shortRequested struct {
		RunID         string    `json:"run_id"`
		RunName       string    `json:"run_name"`
		Phase         Phase     `json:"phase"`
		Queue         string    `json:"queue"`
		Specification struct{}  `json:"specification"`
		Plan          []Step    `json:"plan"`
		Inputs        Inputs    `json:"inputs,omitzero"`
		RequestedAt   time.Time `json:"requested_at,omitzero"`
	}
)

// withoutSpecification returns an event with the placeholder.
func withoutSpecification(ev Event) any {
	switch e := ev.(type) {
	case PipelineAccepted:
		return &shortAccepted{
			RunID: e.RunID, RunName: e.RunName, RequestedAt: e.RequestedAt,
			Plan: e.Plan, Labels: e.Labels, Inputs: e.Inputs, Lineage: e.Lineage,
		}
	case PhaseRequested:
		return &shortRequested{
			RunID: e.RunID, RunName: e.RunName, Phase: e.Phase, Queue: e.Queue,
			Plan: e.Plan, Inputs: e.Inputs, RequestedAt: e.RequestedAt,
		}
	}
	return ev
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
