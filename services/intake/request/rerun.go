package request

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// rerun is a run that repeats an older run from a phase on. It reuses the
// results of the phases before that one.
type rerun struct {
	old events.Run
	// full is the plan of the specification; from is the first phase that this
	// run does.
	full []events.Step
	from events.Phase
	// fromGiven is true if the request chose from.
	fromGiven bool
	// changed are the keys in which the run differs from the old one.
	changed []string
	// specification is the new one, with the changed values.
	specification events.Specification
}

func newRerun(old events.Run, req events.PipelineRequested, s events.Specification, full []events.Step) rerun {
	r := rerun{old: old, full: full, from: req.From, fromGiven: req.From != "", specification: s}
	r.changed = spec.Changed(old.Accepted.Specification, s)
	for key, ref := range req.Inputs.Files {
		oldRef, ok := old.Accepted.Inputs.Files[key]
		if (!ok || oldRef.SHA256 != ref.SHA256) && !slices.Contains(r.changed, key) {
			r.changed = append(r.changed, key)
		}
	}
	for p := range req.Queues {
		if at := stepIndex(full, p); at >= 0 && full[at].Queue != queueOf(old, p) {
			r.changed = append(r.changed, spec.Section(p)+".queue")
		}
	}
	slices.Sort(r.changed)
	r.changed = slices.Compact(r.changed)
	if !r.fromGiven {
		r.from = r.firstPhase()
	}
	return r
}

// firstPhase chooses the phase to start from if the request does not: the first
// one that did not succeed or that reads a changed key, or else the one that
// the old run started from.
func (r rerun) firstPhase() events.Phase {
	oldStart := phaseOrder(r.old.Accepted.Plan[0].Phase)
	first := events.Phase("")
	for _, step := range r.full {
		if slices.ContainsFunc(r.changed, func(key string) bool { return r.reads(step.Phase, key) }) {
			return step.Phase
		}
		if phaseOrder(step.Phase) < oldStart { // the old run reused this phase too
			continue
		}
		if !succeeded(r.old, step.Phase) {
			return step.Phase
		}
		first = cmp.Or(first, step.Phase)
	}
	if first == "" && len(r.full) > 0 {
		first = r.full[0].Phase
	}
	return first
}

// reads reports whether a phase depends on a key.
func (r rerun) reads(p events.Phase, key string) bool {
	if key == "fine_tuner.base_model_id" && stepIndex(r.full, events.Finetune) < 0 {
		return p == events.Inference // without fine-tuning, inference uses the base model
	}
	section, _, _ := strings.Cut(key, ".")
	return section == spec.Section(p)
}

// reusedSteps returns the steps whose results are reused.
func (r rerun) reusedSteps() []events.Step {
	return slices.DeleteFunc(slices.Clone(r.full), func(s events.Step) bool { return phaseOrder(s.Phase) >= phaseOrder(r.from) })
}

// faults returns the changes that would have no effect, because they concern a
// phase that is not repeated.
func (r rerun) faults() []events.Fault {
	var faults []events.Fault
	if r.old.Completed == nil && !r.fromGiven {
		faults = append(faults, events.Fault{
			Key:   "rerun_of",
			Value: r.old.ID,
			Message: fmt.Sprintf("the run has not ended, it is %s; wait for its end or cancel it, "+
				"or say from which phase on a second one is to run beside it", r.old.Status()),
		})
	}
	refuse := func(key string, p events.Phase, nextStep string) {
		faults = append(faults, events.Fault{
			Key:     key,
			Value:   spec.Value(r.specification, key),
			Message: fmt.Sprintf("%s is not repeated, what run %s made there is used again; %s", p, r.old.ID, nextStep),
		})
	}
	for _, step := range r.reusedSteps() {
		for _, key := range r.changed {
			if r.reads(step.Phase, key) {
				refuse(key, step.Phase, fmt.Sprintf("start from %s to change this", step.Phase))
			}
		}
	}
	for _, p := range events.Phases() {
		if !r.fromGiven || phaseOrder(p) >= phaseOrder(r.from) || !slices.Contains(r.changed, enableKey(p)) {
			continue
		}
		switch enabled := stepIndex(r.full, p) >= 0; {
		case enabled:
			faults = append(faults, events.Fault{
				Key:     enableKey(p),
				Value:   "true",
				Message: fmt.Sprintf("run %s did not do %s; start from %s to do it", r.old.ID, p, p),
			})
		case succeeded(r.old, p) || phaseOrder(p) < phaseOrder(r.old.Accepted.Plan[0].Phase):
			refuse(enableKey(p), p, "leave this out, or do not say from which phase to start")
		}
	}
	return faults
}

// inputs returns the inputs of the run: those of the request, then the results
// that the old run has from the reused phases, then the inputs of the old run.
func (r rerun) inputs(in events.Inputs) events.Inputs {
	results := r.old.InputsOf(r.from)
	inherited := r.old.Accepted.Inputs
	// The phases that the old run itself reused from a run before it.
	skippedByOld := spec.Plan(r.old.Accepted.Specification)
	skippedByOld = skippedByOld[:max(0, stepIndex(skippedByOld, r.old.Accepted.Plan[0].Phase))]
	choose := func(p events.Phase, requested, result, oldInput *events.Reference) *events.Reference {
		switch {
		case requested != nil:
			return requested
		case stepIndex(r.reusedSteps(), p) >= 0:
			return result
		case stepIndex(skippedByOld, p) < 0: // an input of the old run itself, no result of the run before it
			return oldInput
		default:
			return nil
		}
	}
	in.Model = choose(events.Finetune, in.Model, results.Model, inherited.Model)
	in.Predictions = choose(events.Inference, in.Predictions, results.Predictions, inherited.Predictions)
	in.BaselinePredictions = choose(events.Inference, in.BaselinePredictions, results.BaselinePredictions, inherited.BaselinePredictions)
	in.Files = r.files(in.Files)
	in.Paths = r.paths(in)
	return in
}

// paths returns where the files lay that the run gets, whoever named them.
func (r rerun) paths(in events.Inputs) map[string]string {
	paths := maps.Clone(r.old.Accepted.Inputs.Paths)
	if paths == nil {
		paths = map[string]string{}
	}
	maps.Copy(paths, in.Paths)
	refs, before := in.References(), r.old.Accepted.Inputs.References()
	maps.DeleteFunc(paths, func(name, path string) bool {
		for _, key := range []string{"inputs." + name, "inputs.files." + name} {
			if ref, ok := refs[key]; ok {
				return path != in.Paths[name] && ref != before[key]
			}
		}
		return true // the run reads no such file
	})
	return paths
}

// files returns the files of the old run whose keys did not change, and those of
// the request.
func (r rerun) files(requested map[string]events.Reference) map[string]events.Reference {
	files := maps.Clone(r.old.Accepted.Inputs.Files)
	for _, key := range r.changed {
		delete(files, key)
		delete(files, key+engine.BaseSuffix)
	}
	for key, ref := range requested {
		if files == nil {
			files = map[string]events.Reference{}
		}
		if _, unchanged := files[key]; !unchanged {
			files[key] = ref
		}
	}
	return files
}

// inheritQueues gives each step the queue that it had in the old run, unless the
// request names another queue or engine.
func (r rerun) inheritQueues(req events.PipelineRequested) {
	for i, step := range r.full {
		section := spec.Section(step.Phase)
		_, requested := req.Queues[step.Phase]
		if requested || slices.Contains(r.changed, section+".queue") || slices.Contains(r.changed, section+".engine") {
			continue
		}
		if q := queueOf(r.old, step.Phase); q != "" {
			r.full[i].Queue = q
		}
	}
}

// queueOf returns the queue of a phase in the plan of the old run, or "".
func queueOf(old events.Run, p events.Phase) string {
	if at := stepIndex(old.Accepted.Plan, p); at >= 0 {
		return old.Accepted.Plan[at].Queue
	}
	return ""
}

func succeeded(run events.Run, p events.Phase) bool {
	state := run.Phases[p]
	return state != nil && state.Completed != nil && state.Completed.Conclusion == events.Success
}

// enableKey returns the key that enables a phase.
func enableKey(p events.Phase) string {
	return map[events.Phase]string{
		events.Finetune:   "pipeline.enable_finetuning",
		events.Inference:  "pipeline.enable_inference",
		events.Evaluation: "pipeline.enable_evaluation",
	}[p]
}

func phaseOrder(p events.Phase) int { return slices.Index(events.Phases(), p) }
