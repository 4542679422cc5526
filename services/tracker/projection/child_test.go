package projection

import (
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestChildNames: the MLflow run of a phase has the name of the pipeline run
// followed by the phase, or the name from the section of the phase.
func TestChildNames(t *testing.T) {
	t.Parallel()
	a := events.PipelineAccepted{RunID: "r", RunName: "nightly"}
	a.Specification.FineTuner.RunName, a.Specification.FineTuner.RunNamePrefix = "lora-16", "a-"
	a.Specification.Evaluator.RunNameSuffix = "-gpt"
	run := events.Fold([]events.Fact{a})
	for p, want := range map[events.Phase]string{
		events.Finetune: "a-lora-16", events.Inference: "nightly_inferencing", events.Evaluation: "nightly_evaluation-gpt",
	} {
		d := child(run, p, &events.PhaseState{})
		if d.Run.Name != want {
			t.Errorf("%s is called %q, want %q", p, d.Run.Name, want)
		}
		for _, param := range d.Params {
			if param.Key == "run_name" && param.Value != want {
				t.Errorf("%s has the parameter run_name %q", p, param.Value)
			}
		}
	}
}
