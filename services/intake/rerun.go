package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// repetition is a run that repeats an older one from a phase on. What the
// older run made before that phase is used again.
type repetition struct {
	old events.Run
	// full is the plan of the specification, from is where it begins here.
	full []events.Step
	from events.Phase
	// given says that the request named from.
	given bool
	// changed are the keys in which the run differs from the old one.
	changed []string
	// changes is what the request says about them.
	changes events.Specification
}

// repeat works out where the repetition of an old run begins: where the
// request says, or else at the first phase that did not succeed or that a
// change concerns, or else where the old run began.
func repeat(old events.Run, req events.PipelineRequested, s events.Specification, full []events.Step) repetition {
	r := repetition{old: old, full: full, from: req.From, given: req.From != "", changes: s}
	r.changed = spec.Changed(old.Accepted.Specification, s)
	for key, ref := range req.Inputs.Files {
		if had, ok := old.Accepted.Inputs.Files[key]; (!ok || had.SHA256 != ref.SHA256) && !slices.Contains(r.changed, key) {
			r.changed = append(r.changed, key)
		}
	}
	for p := range req.Queues {
		if at := index(full, p); at >= 0 && full[at].Queue != queueOf(old, p) {
			r.changed = append(r.changed, spec.Section(p)+".queue")
		}
	}
	slices.Sort(r.changed)
	r.changed = slices.Compact(r.changed)
	if !r.given {
		r.from = r.begin()
	}
	return r
}

func (r repetition) begin() events.Phase {
	began := order(r.old.Accepted.Plan[0].Phase)
	first := events.Phase("")
	for _, step := range r.full {
		if slices.ContainsFunc(r.changed, func(key string) bool { return r.concerns(key, step.Phase) }) {
			return step.Phase
		}
		if order(step.Phase) < began { // the old run itself did not repeat it
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

// concerns reports whether a phase reads a key.
func (r repetition) concerns(key string, p events.Phase) bool {
	if key == "fine_tuner.base_model_id" && index(r.full, events.Finetune) < 0 {
		return p == events.Inference // nothing is tuned: the base model answers
	}
	section, _, _ := strings.Cut(key, ".")
	return section == spec.Section(p)
}

// reused are the steps before the one that is repeated.
func (r repetition) reused() []events.Step {
	return slices.DeleteFunc(slices.Clone(r.full), func(s events.Step) bool { return order(s.Phase) >= order(r.from) })
}

// faults finds what the request changes although it is not repeated.
func (r repetition) faults() []events.Fault {
	var faults []events.Fault
	if r.old.Completed == nil && !r.given {
		faults = append(faults, events.Fault{Key: "rerun_of", Value: r.old.ID,
			Message: fmt.Sprintf("the run has not ended, it is %s; wait for its end or cancel it, or say from which phase on a second one is to run beside it", r.old.Status())})
	}
	refuse := func(key string, p events.Phase, way string) {
		faults = append(faults, events.Fault{Key: key, Value: spec.Value(r.changes, key),
			Message: fmt.Sprintf("%s is not repeated, what run %s made there is used again; %s", p, r.old.ID, way)})
	}
	for _, step := range r.reused() {
		for _, key := range r.changed {
			if r.concerns(key, step.Phase) {
				refuse(key, step.Phase, fmt.Sprintf("start from %s to change this", step.Phase))
			}
		}
	}
	for _, p := range events.Phases() {
		if !r.given || order(p) >= order(r.from) || !slices.Contains(r.changed, enabling(p)) {
			continue
		}
		switch on := index(r.full, p) >= 0; {
		case on:
			faults = append(faults, events.Fault{Key: enabling(p), Value: "true", Message: fmt.Sprintf("run %s did not do %s; start from %s to do it", r.old.ID, p, p)})
		case succeeded(r.old, p) || order(p) < order(r.old.Accepted.Plan[0].Phase):
			refuse(enabling(p), p, "leave this out, or do not say from which phase to start")
		}
	}
	return faults
}

// inputs fills what a request leaves open with what the old run was given,
// and with what it made before the phase that is repeated.
func (r repetition) inputs(in events.Inputs) events.Inputs {
	had := r.old.InputsOf(r.from)
	was := r.old.Accepted.Inputs
	earlier := spec.Plan(r.old.Accepted.Specification)
	earlier = earlier[:max(0, index(earlier, r.old.Accepted.Plan[0].Phase))]
	pick := func(p events.Phase, own, made, given *events.Reference) *events.Reference {
		switch {
		case own != nil:
			return own
		case index(r.reused(), p) >= 0:
			return made
		case index(earlier, p) < 0: // it was the old run's from the start, not of a run before it
			return given
		default:
			return nil
		}
	}
	in.Model = pick(events.Finetune, in.Model, had.Model, was.Model)
	in.Predictions = pick(events.Inference, in.Predictions, had.Predictions, was.Predictions)
	in.BaselinePredictions = pick(events.Inference, in.BaselinePredictions, had.BaselinePredictions, was.BaselinePredictions)
	files := maps.Clone(was.Files)
	for _, key := range r.changed {
		delete(files, key)
	}
	for key, ref := range in.Files {
		if files == nil {
			files = map[string]events.Reference{}
		}
		if _, same := files[key]; !same {
			files[key] = ref
		}
	}
	in.Files = files
	return in
}

// keepQueues gives the jobs the queues that they had in the old run, unless
// the request says otherwise.
func (r repetition) keepQueues(req events.PipelineRequested) {
	for i, step := range r.full {
		_, asked := req.Queues[step.Phase]
		section := spec.Section(step.Phase)
		if q := queueOf(r.old, step.Phase); q != "" && !asked && !slices.Contains(r.changed, section+".queue") && !slices.Contains(r.changed, section+".engine") {
			r.full[i].Queue = q
		}
	}
}

// queueOf is the queue that the old run's job of a phase had; empty if it had
// none.
func queueOf(old events.Run, p events.Phase) string {
	if at := index(old.Accepted.Plan, p); at >= 0 {
		return old.Accepted.Plan[at].Queue
	}
	return ""
}

func succeeded(run events.Run, p events.Phase) bool {
	state := run.Phases[p]
	return state != nil && state.Completed != nil && state.Completed.Conclusion == events.Success
}

// enabling is the key that switches a phase on.
func enabling(p events.Phase) string {
	return map[events.Phase]string{
		events.Finetune: "pipeline.enable_finetuning", events.Inference: "pipeline.enable_inference", events.Evaluation: "pipeline.enable_evaluation",
	}[p]
}

func order(p events.Phase) int { return slices.Index(events.Phases(), p) }

func index(plan []events.Step, p events.Phase) int {
	return slices.IndexFunc(plan, func(s events.Step) bool { return s.Phase == p })
}
