package projection

import (
	"maps"
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

// TestChildCoverage: what a mean stands for is a metric beside it.
func TestChildCoverage(t *testing.T) {
	t.Parallel()
	run := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", RunName: "nightly"}})
	d := child(run, events.Evaluation, &events.PhaseState{Completed: &events.PhaseCompleted{
		Conclusion:       events.Success,
		Coverage:         map[string]events.Coverage{"exact_match": {Scored: 1, Rows: 4}, "answer_accuracy": {Rows: 4}},
		BaselineCoverage: map[string]events.Coverage{"exact_match": {Scored: 4, Rows: 4}},
	}})
	got := map[string]float64{}
	for _, m := range d.Metrics {
		got[m.Key] = m.Value
	}
	want := map[string]float64{"eval_exact_match_coverage": 0.25, "eval_answer_accuracy_coverage": 0, "baseline_eval_exact_match_coverage": 1}
	if !maps.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

// TestChildUsed: what was used in place of a key that had no effect is a parameter beside it.
func TestChildUsed(t *testing.T) {
	t.Parallel()
	a := events.PipelineAccepted{RunID: "r", RunName: "nightly"}
	a.Specification.FineTuner.Rank = 8
	d := child(events.Fold([]events.Fact{a}), events.Finetune, &events.PhaseState{Completed: &events.PhaseCompleted{
		Conclusion: events.Success, Used: map[string]string{"fine_tuner.rank": "32"},
	}})
	got := map[string]string{}
	for _, p := range d.Params {
		got[p.Key] = p.Value
	}
	if got["config_rank"] != "8" || got["used_rank"] != "32" {
		t.Errorf("parameters %v", got)
	}
}
