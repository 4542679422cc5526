package intake

import (
	"context"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/roots"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// inputs works out what the run starts from: what the request gives, and
// what an older run made before the phase that is repeated.
func (s *Service) inputs(ctx context.Context, req events.PipelineRequested, sequence uint64) (events.Inputs, events.Lineage, []events.Fault, error) {
	in := req.Inputs
	lineage := events.Lineage{RequestSequence: sequence, RerunOf: req.RerunOf}
	var faults []events.Fault
	check := func(key string, ref *events.Reference) {
		if ref != nil && ref.Store != s.cfg.Store {
			faults = append(faults, events.Fault{Key: key, Value: ref.Store, Allowed: s.cfg.Store, Message: "the artifact lies in another store"})
		}
	}
	check("inputs.model", in.Model)
	check("inputs.predictions", in.Predictions)
	check("inputs.baseline_predictions", in.BaselinePredictions)
	for key, ref := range in.Files {
		check("inputs.files."+key, &ref)
	}
	if req.RerunOf == "" {
		return in, lineage, faults, nil
	}
	if !events.ValidToken(req.RerunOf) {
		return in, lineage, append(faults, events.Fault{Key: "rerun_of", Value: req.RerunOf, Message: "not a valid run id"}), nil
	}
	old, err := s.bus.Run(ctx, req.RerunOf)
	if err != nil {
		return in, lineage, nil, err
	}
	if old.Accepted == nil {
		return in, lineage, append(faults, events.Fault{Key: "rerun_of", Value: req.RerunOf, Message: "no such run"}), nil
	}
	return inherit(in, old, req.From), lineage, faults, nil
}

// inherit fills what a request leaves open with what the old run had or made
// before the phase that is repeated.
func inherit(in events.Inputs, old events.Run, from events.Phase) events.Inputs {
	had := old.InputsOf(from)
	if in.Model == nil {
		in.Model = had.Model
	}
	if in.Predictions == nil {
		in.Predictions = had.Predictions
	}
	if in.BaselinePredictions == nil {
		in.BaselinePredictions = had.BaselinePredictions
	}
	if in.Files == nil {
		in.Files = had.Files
	}
	return in
}

// from drops the steps before a phase.
func from(plan []events.Step, p events.Phase) []events.Step {
	i := slices.IndexFunc(plan, func(s events.Step) bool { return s.Phase == p })
	if i < 0 {
		return nil
	}
	return plan[i:]
}

// plan finds what is missing for the plan to work.
func (s *Service) plan(sp events.Specification, plan []events.Step, in events.Inputs) []events.Fault {
	var faults []events.Fault
	if len(plan) == 0 {
		faults = append(faults, events.Fault{Key: "pipeline", Message: "no phase is left to do: enable one, or start from one that is enabled"})
	}
	has := func(p events.Phase) bool {
		return slices.ContainsFunc(plan, func(s events.Step) bool { return s.Phase == p })
	}
	if has(events.Evaluation) && !has(events.Inference) && in.Predictions == nil {
		faults = append(faults, events.Fault{Key: "inputs.predictions", Message: "evaluation needs an inference before it, or predictions to read"})
	}
	for _, p := range spec.Paths(sp) {
		if _, uploaded := in.Files[p.Key]; uploaded || !has(p.Phase) {
			continue
		}
		if _, err := roots.Find(s.cfg.DataRoots, p.Value); err != nil && !spec.IsHubID(p.Value) {
			faults = append(faults, events.Fault{Key: p.Key, Value: p.Value, Message: fmt.Sprintf("%v; \"tunebus submit\" uploads files instead", err)})
		}
	}
	return faults
}
