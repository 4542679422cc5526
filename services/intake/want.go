package intake

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// wanted is what a request comes to.
type wanted struct {
	specification events.Specification
	plan          []events.Step
	inputs        events.Inputs
	labels        map[string]string
}

// want works out what a request comes to: by itself, or over the run that it
// repeats.
func (s *Service) want(ctx context.Context, req events.PipelineRequested) (wanted, []events.Fault, error) {
	if req.RerunOf == "" {
		w, full, faults := read(req, spec.Defaults())
		faults = append(faults, s.cfg.Limits.Apply(&w.specification)...)
		w.inputs, w.labels, w.plan = req.Inputs, req.Labels, full
		if req.From != "" {
			w.plan = from(full, req.From)
		}
		return w, append(faults, s.work(w, full)...), nil
	}
	old, fault, err := s.older(ctx, req.RerunOf)
	if err != nil {
		return wanted{}, nil, err
	}
	if fault != nil && !repeatable(old) {
		// Nobody knows what the specification is to change, so only what it
		// says itself can be wrong.
		_, _, faults := read(req, spec.Defaults())
		faults = slices.DeleteFunc(faults, func(f events.Fault) bool { return !says(req.Specification, f.Key) })
		return wanted{}, append(append(faults, s.elsewhere(req.Inputs)...), *fault), nil
	}
	w, full, faults := read(req, old.Accepted.Specification)
	r := repeat(old, req, w.specification, full)
	faults = append(faults, r.faults()...)
	// What an older run was allowed for a phase that is not repeated is none
	// of this one's business.
	faults = append(faults, slices.DeleteFunc(s.cfg.Limits.Apply(&w.specification), func(f events.Fault) bool {
		return slices.ContainsFunc(r.reused(), func(step events.Step) bool { return r.concerns(f.Key, step.Phase) })
	})...)
	r.keepQueues(req)
	w.plan, w.inputs, w.labels = from(full, r.from), r.inputs(req.Inputs), maps.Clone(old.Accepted.Labels)
	if w.labels == nil {
		w.labels = map[string]string{}
	}
	maps.Copy(w.labels, req.Labels)
	if faults = append(faults, s.work(w, full)...); len(faults) > 0 && fault != nil {
		faults = append(faults, *fault) // what cannot be read may be what is missing
	}
	return w, faults, nil
}

// repeatable reports whether enough is known of a run to repeat it.
func repeatable(old events.Run) bool { return old.Accepted != nil && len(old.Accepted.Plan) > 0 }

// read reads the specification of a request, over another one, and its plan.
func read(req events.PipelineRequested, over events.Specification) (w wanted, full []events.Step, faults []events.Fault) {
	w.specification, faults = spec.Over(over, req.Specification)
	full = spec.Plan(w.specification)
	for i, step := range full {
		if q, ok := req.Queues[step.Phase]; ok {
			full[i].Queue = q
		}
	}
	return w, full, faults
}

// says reports whether a specification says something about a key, a section
// or itself.
func says(raw json.RawMessage, key string) bool {
	var sections map[string]json.RawMessage
	if json.Unmarshal(raw, &sections) != nil {
		return true
	}
	section, name, below := strings.Cut(key, ".")
	body, there := sections[section]
	var keys map[string]json.RawMessage
	if !there || !below || json.Unmarshal(body, &keys) != nil {
		return there || !below
	}
	name, _, _ = strings.Cut(name, "[") // of a list's element
	_, there = keys[name]
	return there
}

// work finds what is missing for a plan to work. A reference that leads
// elsewhere hides what else may be missing.
func (s *Service) work(w wanted, full []events.Step) []events.Fault {
	if faults := s.elsewhere(w.inputs); len(faults) > 0 {
		return faults
	}
	return s.plan(w.specification, full, w.plan, w.inputs)
}
