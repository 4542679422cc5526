package request

import (
	"encoding/json"
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

// Rules are what an installation allows in requests.
type Rules struct {
	// DataRoots are the folders below which a request may name files.
	DataRoots []string
	// Store is the id of the artifact store that references must belong to.
	Store string
	// Local checks references to local inputs. Nil: there are none.
	Local LocalInputs
	// Limits are the largest values that a specification may have.
	Limits spec.Limits
}

// LocalInputs are the inputs that stay where a person has them.
type LocalInputs interface {
	// Check returns an error if a reference may not be opened: it is one of
	// another data folder, or names a path that is not allowed.
	Check(ref events.Reference, roots []string) error
}

// Resolved is the run that a request asks for.
type Resolved struct {
	Specification events.Specification
	Plan          []events.Step // the steps that this run does
	Inputs        events.Inputs
	Labels        map[string]string
}

// OldRun is a run that a request repeats.
type OldRun struct {
	// Run is the part of the run that could be read.
	Run events.Run
	// Fault is the reason why the run could not be read, or not completely.
	Fault *events.Fault
}

// Repeatable reports whether enough is known about the run to repeat it.
func (o OldRun) Repeatable() bool { return o.Run.Accepted != nil && len(o.Run.Accepted.Plan) > 0 }

// Resolve resolves a request that does not repeat a run.
func (r Rules) Resolve(req events.PipelineRequested) (Resolved, []events.Fault) {
	specification, full, faults := readSpecification(req, spec.Defaults())
	faults = append(spec.SizeFaults(req, specification), faults...)
	faults = append(faults, r.Limits.Apply(&specification)...)
	out := Resolved{Specification: specification, Plan: full, Inputs: req.Inputs, Labels: req.Labels}
	if req.From != "" {
		out.Plan = stepsFrom(full, req.From)
	}
	return out, append(faults, r.checkRunnable(out, full)...)
}

// ResolveRerun resolves a request that repeats an older run.
func (r Rules) ResolveRerun(req events.PipelineRequested, old OldRun) (Resolved, []events.Fault) {
	if old.Fault != nil && !old.Repeatable() {
		return Resolved{}, r.checkWithoutOldRun(req, *old.Fault)
	}
	specification, full, faults := readSpecification(req, old.Run.Accepted.Specification)
	again := newRerun(old.Run, req, specification, full)
	merged := req
	merged.Labels, merged.Inputs = maps.Clone(old.Run.Accepted.Labels), again.inputs(req.Inputs)
	if merged.Labels == nil {
		merged.Labels = map[string]string{}
	}
	maps.Copy(merged.Labels, req.Labels)
	faults = slices.Concat(spec.SizeFaults(merged, specification), faults, again.faults())
	// A limit that only concerns a phase whose results are reused is no fault:
	// the old run was admitted with that value.
	faults = append(faults, slices.DeleteFunc(r.Limits.Apply(&specification), func(f events.Fault) bool {
		return slices.ContainsFunc(again.reusedSteps(), func(step events.Step) bool { return again.reads(step.Phase, f.Key) })
	})...)
	again.inheritQueues(req)
	out := Resolved{
		Specification: specification,
		Plan:          stepsFrom(full, again.from),
		Inputs:        merged.Inputs,
		Labels:        merged.Labels,
	}
	faults = append(faults, sayWhatIsLacking(r.checkRunnable(out, full), old.Run)...)
	if len(faults) > 0 && old.Fault != nil {
		// The unreadable part of the old run may be the cause of the others.
		faults = append(faults, *old.Fault)
	}
	return out, faults
}

// checkWithoutOldRun returns the faults of a request whose old run is unknown.
// Without the old specification only the keys that the request itself has can
// be checked.
func (r Rules) checkWithoutOldRun(req events.PipelineRequested, oldFault events.Fault) []events.Fault {
	_, _, faults := readSpecification(req, spec.Defaults())
	faults = slices.DeleteFunc(faults, func(f events.Fault) bool { return !mentions(req.Specification, f.Key) })
	faults = append(faults, r.checkReferences(req.Inputs)...)
	return append(faults, oldFault)
}

// readSpecification reads the specification of a request on top of base, and
// returns it with its plan.
func readSpecification(
	req events.PipelineRequested, base events.Specification,
) (events.Specification, []events.Step, []events.Fault) {
	specification, faults := spec.Over(base, req.Specification)
	return specification, spec.PlanWith(specification, req.Queues), faults
}

// mentions reports whether a specification in JSON has a key or a section. It
// returns true for a key without a section, and for invalid JSON: those faults
// are about the specification as a whole.
func mentions(raw json.RawMessage, key string) bool {
	var sections map[string]json.RawMessage
	if json.Unmarshal(raw, &sections) != nil {
		return true
	}
	section, name, hasName := strings.Cut(key, ".")
	body, hasSection := sections[section]
	var keys map[string]json.RawMessage
	if !hasSection || !hasName || json.Unmarshal(body, &keys) != nil {
		return hasSection || !hasName
	}
	name, _, _ = strings.Cut(name, "[") // the index of a list element
	_, hasKey := keys[name]
	return hasKey
}

// stepsFrom returns the steps of a plan from a phase on.
func stepsFrom(plan []events.Step, p events.Phase) []events.Step {
	i := stepIndex(plan, p)
	if i < 0 {
		return nil
	}
	return plan[i:]
}

func stepIndex(plan []events.Step, p events.Phase) int {
	return slices.IndexFunc(plan, func(s events.Step) bool { return s.Phase == p })
}

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

// nothingLeft is the fault of a plan without a phase: it names the key that ends the run before
// one that is enabled.
func nothingLeft(p events.Pipeline) (key, value, message string) {
	const nothing = "no phase is left to do: "
	switch {
	case p.StopAfterFinetuning && (p.EnableInference || p.EnableEvaluation):
		return "pipeline.stop_after_finetuning", "true", nothing + "it ends the run behind fine-tuning; with false, the phases behind that are done"
	case p.StopAfterInference && p.EnableEvaluation:
		return "pipeline.stop_after_inference", "true", nothing + "it ends the run behind inference; with false, evaluation is done"
	}
	return "pipeline", "", nothing + "enable one, or start from one that is enabled"
}

// checkInputs returns the faults of a plan whose steps lack an input.
func (r Rules) checkInputs(run Resolved, full []events.Step) []events.Fault {
	var faults []events.Fault
	add := func(key, value, message string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Message: message})
	}
	plan, in := run.Plan, run.Inputs
	if len(plan) == 0 {
		add(nothingLeft(run.Specification.Pipeline))
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
