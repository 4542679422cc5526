package request

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// checkRunnable returns the faults that would stop a run on its way: missing
// inputs and references to another store. full is the plan of the whole
// specification. If a reference is wrong, the missing inputs are not reported,
// because they may only be missing because of it.
func (r Rules) checkRunnable(run Resolved, full []events.Step) []events.Fault {
	if faults := r.checkReferences(run.Inputs); len(faults) > 0 {
		return faults
	}
	return r.checkInputs(run, full)
}

// checkReferences returns the faults of references: other stores, no digest.
func (r Rules) checkReferences(in events.Inputs) []events.Fault {
	refs := in.References()
	var faults []events.Fault
	for _, key := range slices.Sorted(maps.Keys(refs)) {
		ref := refs[key]
		switch {
		case localinput.Is(ref):
			if err := r.checkLocal(key, ref); err != nil {
				faults = append(faults, events.Fault{Key: key, Value: ref.Key, Message: err.Error()})
			}
		case ref.Store != r.Store:
			faults = append(faults, events.Fault{
				Key:     key,
				Value:   ref.Store,
				Allowed: r.Store,
				Message: "the artifact lies in another store",
			})
		case ref.Key == "" || len(ref.SHA256) != 64:
			faults = append(faults, events.Fault{
				Key:     key,
				Value:   ref.Key,
				Message: "a reference needs the artifact's key and its SHA-256 in 64 hexadecimal digits",
			})
		}
	}
	return faults
}

// checkLocal checks a reference to a local input. Only models and data sets that
// a key of the specification names can be one.
func (r Rules) checkLocal(key string, ref events.Reference) error {
	if r.Local == nil || !strings.HasPrefix(key, "inputs.files.") || len(ref.SHA256) != 64 {
		return errors.New("it is a path of another machine or data folder; submit the run there, or with --copy-inputs")
	}
	return r.Local.Check(ref, r.DataRoots)
}

// checkInputs returns the faults of a plan whose steps lack an input.
func (r Rules) checkInputs(run Resolved, full []events.Step) []events.Fault {
	var faults []events.Fault
	add := func(key, value, message string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Message: message})
	}
	plan, in := run.Plan, run.Inputs
	if len(plan) == 0 {
		add("pipeline", "", "no phase is left to do: enable one, or start from one that is enabled")
	}
	does := func(p events.Phase) bool { return stepIndex(plan, p) >= 0 }
	if does(events.Evaluation) && !does(events.Inference) && in.Predictions == nil {
		add("inputs.predictions", "", "evaluation needs an inference before it, or predictions to read, which --predictions names")
	}
	skipsFinetune := false // although the specification has it, and needs its result
	if i := stepIndex(full, events.Finetune); i >= 0 {
		skipsFinetune = !does(events.Finetune) && full[i].OnFailure != events.Continue
	}
	if skipsFinetune && does(events.Inference) && in.Model == nil {
		add("inputs.model", "", "the run starts after its fine-tuning, so it needs the model that was made; "+
			"start from finetune, or disable fine-tuning to use the base model")
	}
	for _, p := range spec.Paths(run.Specification) {
		if _, uploaded := in.Files[p.Key]; uploaded || !does(p.Phase) || spec.IsHubID(p.Place()) {
			continue
		}
		_, err := allowedpath.Find(r.DataRoots, p.Value) // a path that has a colon itself goes first
		if err != nil && p.Place() != p.Value {
			_, err = allowedpath.Find(r.DataRoots, p.Place())
		}
		if err != nil {
			add(p.Key, p.Value, fmt.Sprintf("%v; \"tunebus submit\" uploads files instead", err))
		}
	}
	return faults
}
