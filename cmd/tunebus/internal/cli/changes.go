package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// changes are assignments that go over specifications which are stored.
type changes struct {
	tree structconf.Tree
	// files are the local files that they name, by key.
	files map[string]string
}

// readChanges reads assignments, each section.key=value, and finds all that
// is wrong with them by themselves.
func readChanges(sets []string) (changes, error) {
	var ch changes
	faults := append(assign(&ch.tree, sets), expand(ch.tree)...)
	var says events.Specification
	if faults = append(faults, structconf.Decode(&says, ch.tree)...); len(faults) > 0 {
		return ch, faulty(faults)
	}
	ch.files, faults = new(asked).uploads(spec.Paths(says))
	if len(faults) > 0 {
		return ch, bad(faults)
	}
	return ch, nil
}

// over is a request's specification with the changes over it.
func (ch changes) over(raw json.RawMessage) (json.RawMessage, error) {
	if len(ch.tree.Sections) == 0 {
		return raw, nil
	}
	tree, faults := structconf.ParseJSON(raw)
	if len(faults) > 0 {
		return nil, faults
	}
	tree.Merge(ch.tree)
	out, err := json.Marshal(tree.Sections)
	if err != nil {
		return nil, fmt.Errorf("changed specification: %w", err)
	}
	return out, nil
}

// inputs are the files of a request that the changes leave, and those that
// they name.
func (ch changes) inputs(had, named map[string]events.Reference) map[string]events.Reference {
	out := maps.Clone(had)
	if out == nil {
		out = map[string]events.Reference{}
	}
	for section, keys := range ch.tree.Sections {
		table, _ := keys.(map[string]any)
		for key := range table {
			delete(out, section+"."+key)
		}
	}
	maps.Copy(out, named)
	return out
}

// misfits are the faults that the changes bring into a request, which was in
// order without them. One that repeats an older run is read over that run, by
// the front desk.
func (ch changes) misfits(req events.PipelineRequested) []events.Fault {
	if len(ch.tree.Sections) == 0 || req.RerunOf != "" {
		return nil
	}
	raw, err := ch.over(req.Specification)
	if err != nil {
		return nil // it has faults of its own
	}
	_, before := spec.FromJSON(req.Specification)
	_, after := spec.FromJSON(raw)
	return slices.DeleteFunc(after, func(f events.Fault) bool { return slices.Contains(before, f) })
}

// misfits are the faults of many requests: those that many have are named
// once.
type misfits struct {
	seen  map[events.Fault]*seen
	order []events.Fault
}

// seen is how many requests have a fault, and the first of them.
type seen struct {
	first uint64
	n     int
}

func (m *misfits) add(request uint64, faults []events.Fault) {
	for _, f := range faults {
		if m.seen == nil {
			m.seen = map[events.Fault]*seen{}
		}
		if m.seen[f] == nil {
			m.seen[f] = &seen{first: request}
			m.order = append(m.order, f)
		}
		m.seen[f].n++
	}
}

func (m *misfits) err() error {
	if len(m.order) == 0 {
		return nil
	}
	var out structconf.Faults
	for _, f := range m.order {
		in := fmt.Sprintf(", in request %d", m.seen[f].first)
		if n := m.seen[f].n; n > 1 {
			in += fmt.Sprintf(" and %d more", n-1)
		}
		out = append(out, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message + in})
	}
	return bad(fmt.Errorf("nothing was submitted, since the changes do not fit:\n%w", out))
}
