package intake

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// older reads the run that is repeated, as far as it can be read. Beside the
// run, a fault says what of it cannot.
func (s *Service) older(ctx context.Context, id string) (events.Run, *events.Fault, error) {
	fault := &events.Fault{Key: "rerun_of", Value: id}
	if !events.ValidToken(id) {
		fault.Message = "not a valid run id"
		return events.Run{}, fault, nil
	}
	old, err := s.cfg.Runs.Run(ctx, id)
	switch {
	case unreadable(err):
		fault.Message = fmt.Sprintf("the run cannot be read: %v", err)
		return old, fault, nil
	case err == nil && !repeatable(old):
		fault.Message = "no such run"
		return old, fault, nil
	}
	return old, nil, err
}

// elsewhere finds the references that lie in another store.
func (s *Service) elsewhere(in events.Inputs) []events.Fault {
	refs := map[string]*events.Reference{
		"inputs.model": in.Model, "inputs.predictions": in.Predictions, "inputs.baseline_predictions": in.BaselinePredictions,
	}
	for key, ref := range in.Files {
		refs["inputs.files."+key] = &ref
	}
	var faults []events.Fault
	for _, key := range slices.Sorted(maps.Keys(refs)) {
		ref := refs[key]
		switch {
		case ref == nil:
		case ref.Store != s.cfg.Store:
			faults = append(faults, events.Fault{Key: key, Value: ref.Store, Allowed: s.cfg.Store, Message: "the artifact lies in another store"})
		case ref.Key == "" || len(ref.SHA256) != 64:
			faults = append(faults, events.Fault{Key: key, Value: ref.Key, Message: "a reference needs the artifact's key and its SHA-256 in 64 hexadecimal digits"})
		}
	}
	return faults
}

// from drops the steps before a phase.
func from(plan []events.Step, p events.Phase) []events.Step {
	i := slices.IndexFunc(plan, func(s events.Step) bool { return s.Phase == p })
	if i < 0 {
		return nil
	}
	return plan[i:]
}

// plan finds what is missing for a plan to work, which is the full one or its
// end.
func (s *Service) plan(sp events.Specification, full, plan []events.Step, in events.Inputs) []events.Fault {
	var faults []events.Fault
	add := func(key, value, message string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Message: message})
	}
	if len(plan) == 0 {
		add("pipeline", "", "no phase is left to do: enable one, or start from one that is enabled")
	}
	at := func(steps []events.Step, p events.Phase) int {
		return slices.IndexFunc(steps, func(s events.Step) bool { return s.Phase == p })
	}
	has := func(p events.Phase) bool { return at(plan, p) >= 0 }
	if has(events.Evaluation) && !has(events.Inference) && in.Predictions == nil {
		add("inputs.predictions", "", "evaluation needs an inference before it, or predictions to read")
	}
	if i := at(full, events.Finetune); i >= 0 && !has(events.Finetune) && has(events.Inference) && in.Model == nil && full[i].OnFailure != events.Continue {
		add("inputs.model", "", "the run starts behind its fine-tuning, so it needs the model that was made; start from finetune, or disable fine-tuning to use the base model")
	}
	for _, p := range spec.Paths(sp) {
		if _, uploaded := in.Files[p.Key]; uploaded || !has(p.Phase) {
			continue
		}
		if _, err := allowedpath.Find(s.cfg.DataRoots, p.Value); err != nil && !spec.IsHubID(p.Value) {
			add(p.Key, p.Value, fmt.Sprintf("%v; \"tunebus submit\" uploads files instead", err))
		}
	}
	return faults
}
