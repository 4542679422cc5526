package spec_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// scenario is a combination of a specification and the outcomes of its phases.
type scenario struct {
	finetune, inference, evaluation bool // enabled
	stopFinetune, stopInference     bool
	policy                          events.OnFailure
	model, predictions              bool // given
	outcome                         [3]events.Conclusion
}

func (w scenario) String() string {
	return fmt.Sprintf("enabled %t %t %t, stop after %t %t, on failure %s, given model %t, predictions %t, outcomes %v",
		w.finetune, w.inference, w.evaluation, w.stopFinetune, w.stopInference, w.policy, w.model, w.predictions, w.outcome)
}

// phases returns the phases that the plan must have by the documentation: the
// enabled ones, up to the one to stop after, even if that one is disabled.
func (w scenario) phases() []events.Phase {
	switch {
	case w.stopFinetune && w.finetune:
		return []events.Phase{events.Finetune}
	case w.stopFinetune:
		return nil
	}
	var out []events.Phase
	if w.finetune {
		out = append(out, events.Finetune)
	}
	if w.inference {
		out = append(out, events.Inference)
	}
	if w.evaluation && !w.stopInference {
		out = append(out, events.Evaluation)
	}
	return out
}

// TestTruthTable compares the plan, the next job with its inputs and the end of the
// run with the documentation, for all combinations.
func TestTruthTable(t *testing.T) {
	t.Parallel()
	both := []bool{false, true}
	conclusions := []events.Conclusion{events.Success, events.Failure, events.Cancelled}
	n := 0
	for _, f := range both {
		for _, i := range both {
			for _, e := range both {
				for _, sf := range both {
					for _, si := range both {
						for _, policy := range []events.OnFailure{events.Stop, events.Continue} {
							for _, m := range both {
								for _, p := range both {
									for outcome := range 27 {
										w := scenario{f, i, e, sf, si, policy, m, p, [3]events.Conclusion{conclusions[outcome%3], conclusions[outcome/3%3], conclusions[outcome/9]}}
										w.check(t)
										n++
									}
								}
							}
						}
					}
				}
			}
		}
	}
	if want := 32 * 2 * 4 * 27; n != want {
		t.Errorf("%d combinations, want %d", n, want)
	}
}

func ref(key string) *events.Reference { return &events.Reference{Store: "s", Key: key} }

func (w scenario) check(t *testing.T) {
	t.Helper()
	s := spec.Defaults()
	s.Pipeline.EnableFinetuning, s.Pipeline.EnableInference, s.Pipeline.EnableEvaluation = w.finetune, w.inference, w.evaluation
	s.Pipeline.StopAfterFinetuning, s.Pipeline.StopAfterInference = w.stopFinetune, w.stopInference
	s.Pipeline.OnFinetuningFailure = w.policy
	plan := spec.Plan(s)
	var phases []events.Phase
	for _, step := range plan {
		phases = append(phases, step.Phase)
	}
	if !reflect.DeepEqual(phases, w.phases()) {
		t.Fatalf("%s: the plan is %v, want %v", w, phases, w.phases())
	}
	if len(plan) == 0 {
		return // intake rejects it
	}
	in := events.Inputs{}
	if w.model {
		in.Model = ref("given model")
	}
	if w.predictions {
		in.Predictions = ref("given predictions")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	accepted := events.PipelineAccepted{RunID: "r", RequestedAt: at, Specification: s, Plan: plan, Inputs: in}
	facts := []events.Fact{accepted}
	cause := events.Fact(accepted)
	model, predictions := in.Model, in.Predictions
	conclusion := events.Success
	failed := []events.Phase(nil)
	for i, p := range phases {
		next, err := events.Next(cause, events.Fold(facts))
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		job, ok := next.(events.PhaseRequested)
		if !ok || job.Phase != p || !same(job.Inputs.Model, model) || !same(job.Inputs.Predictions, predictions) {
			t.Fatalf("%s: after %s comes %+v, want %s with model %v and predictions %v", w, cause.Subject(), next, p, model, predictions)
		}
		outcome := w.outcome[i]
		done := events.PhaseCompleted{RunID: "r", Phase: p, Attempt: 1, Conclusion: outcome, StartedAt: at, EndedAt: at}
		if outcome == events.Success {
			switch p {
			case events.Finetune:
				model = ref("tuned")
				done.Artifacts = []events.Artifact{{Name: events.ArtifactModel, Reference: *model}}
			case events.Inference:
				predictions = ref("result")
				done.Artifacts = []events.Artifact{{Name: events.ArtifactPredictions, Reference: *predictions}}
			}
		}
		facts = append(facts, job, events.PhaseStarted{RunID: "r", Phase: p, Attempt: 1}, done)
		cause = done
		if outcome == events.Cancelled || outcome == events.Failure && !(p == events.Finetune && w.policy == events.Continue) {
			conclusion = outcome
			failed = nil
			break
		}
		if outcome == events.Failure {
			failed = append(failed, p)
		}
	}
	next, err := events.Next(cause, events.Fold(facts))
	if err != nil {
		t.Fatalf("%s: %v", w, err)
	}
	end, ok := next.(events.PipelineCompleted)
	if !ok || end.Conclusion != conclusion || !reflect.DeepEqual(end.FailedPhases, failed) {
		t.Fatalf("%s: it ends with %+v, want %s with failed phases %v", w, next, conclusion, failed)
	}
	if again, err := events.Next(end, events.Fold(append(facts, end))); err != nil || again != nil {
		t.Fatalf("%s: after the end comes %+v, %v", w, again, err)
	}
}

func same(a, b *events.Reference) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
