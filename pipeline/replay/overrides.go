package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Overrides are keys that go over specifications which are stored.
type Overrides struct{ tree structconf.Tree }

// NewOverrides returns the overrides that a tree of keys holds.
func NewOverrides(tree structconf.Tree) Overrides { return Overrides{tree} }

// Apply returns a request's specification with the overrides over it.
func (o Overrides) Apply(raw json.RawMessage) (json.RawMessage, error) {
	if len(o.tree.Sections) == 0 {
		return raw, nil
	}
	tree, faults := structconf.ParseJSON(raw)
	if len(faults) > 0 {
		return nil, faults
	}
	tree.Merge(o.tree)
	out, err := json.Marshal(tree.Sections)
	if err != nil {
		return nil, fmt.Errorf("changed specification: %w", err)
	}
	return out, nil
}

// inputs returns the files of a request without those whose keys are
// overridden, and with those that the overrides name.
func (o Overrides) inputs(had, named map[string]events.Reference) map[string]events.Reference {
	out := maps.Clone(had)
	if out == nil {
		out = map[string]events.Reference{}
	}
	for section, keys := range o.tree.Sections {
		table, _ := keys.(map[string]any)
		for key := range table {
			delete(out, section+"."+key)
		}
	}
	maps.Copy(out, named)
	return out
}

// faults returns the faults for which a request must not be submitted: its size,
// and those that the overrides bring into it. The run that a request repeats is not
// read here, so intake checks what the two have together.
func (o Overrides) faults(req events.PipelineRequested) []events.Fault {
	raw, err := o.Apply(req.Specification)
	if err != nil {
		return nil // the request has faults of its own
	}
	changed, after := spec.FromJSON(raw)
	sizes := spec.SizeFaults(req, changed)
	if len(o.tree.Sections) == 0 || req.RerunOf != "" {
		return sizes
	}
	_, before := spec.FromJSON(req.Specification)
	return append(sizes, slices.DeleteFunc(after, func(f events.Fault) bool { return slices.Contains(before, f) })...)
}

// faultSummary holds the faults of many requests. A fault that many requests
// have is named once.
type faultSummary struct {
	occurrences map[events.Fault]*occurrence
	order       []events.Fault
}

// occurrence counts the requests that have a fault.
type occurrence struct {
	first uint64
	n     int
}

func (s *faultSummary) add(request uint64, faults []events.Fault) {
	for _, f := range events.BoundFaults(faults) {
		if s.occurrences == nil {
			s.occurrences = map[events.Fault]*occurrence{}
		}
		if s.occurrences[f] == nil {
			s.occurrences[f] = &occurrence{first: request}
			s.order = append(s.order, f)
		}
		s.occurrences[f].n++
	}
}

// err returns the faults as an error; nil without any. why says why nothing was
// submitted.
func (s *faultSummary) err(why string) error {
	if len(s.order) == 0 {
		return nil
	}
	var out structconf.Faults
	for _, f := range events.BoundFaults(s.order) {
		if s.occurrences[f] == nil { // it says how many are left out
			out = append(out, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message})
			continue
		}
		in := fmt.Sprintf(", in request %d", s.occurrences[f].first)
		if n := s.occurrences[f].n; n > 1 {
			in += fmt.Sprintf(" and %d more", n-1)
		}
		out = append(out, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message + in})
	}
	return fmt.Errorf("nothing was submitted, since %s:\n%w", why, out)
}
