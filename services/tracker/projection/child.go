package projection

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Child is the MLflow run of a phase for which [Snapshot.HasChild] is true.
func (s Snapshot) Child(p events.Phase) MLflowRun {
	r := child(s.Run, p, s.Run.Phases[p])
	r.Run.StartTime = s.started[p]
	return r
}

func child(run events.Run, p events.Phase, state *events.PhaseState) MLflowRun {
	a := *run.Accepted
	r := MLflowRun{
		Key:    mlflow.RunKey{RunID: a.RunID, Phase: string(p)},
		Run:    mlflow.Run{Name: childRunName(a, p)},
		Tags:   attemptTags(state),
		Inputs: datasets(run, p, state.Completed),
	}
	r.addParam("phase", phaseLabel(p))
	r.addParam("run_name", r.Run.Name)
	r.addParam("base_model_name", a.Specification.FineTuner.BaseModelID)
	r.addParam("base_model_url", modelURL(run))
	for _, v := range structconf.Values(a.Specification) {
		if v.Section == spec.Section(p) {
			r.addParam("config_"+v.Name, v.Text)
		}
	}
	if state.Completed != nil {
		r.addCompletion(p, *state.Completed)
	}
	r.sort()
	return r
}

// addCompletion adds the result of the phase.
func (r *MLflowRun) addCompletion(p events.Phase, c events.PhaseCompleted) {
	for k, v := range c.Statistics {
		r.addMetric(k, v, c.EndedAt)
	}
	for k, v := range c.BaselineScores {
		r.addMetric("baseline_eval_"+k, v, c.EndedAt)
	}
	for _, d := range c.Datasets {
		for _, n := range rowCounts(d) {
			if use := uses[d.Key]; use != "" && n.rows > 0 {
				r.addMetric(use+"_"+n.name, float64(n.rows), c.EndedAt)
			}
		}
	}
	for k, v := range c.Coverage {
		r.addMetric("eval_"+k+"_coverage", v.Share(), c.EndedAt)
	}
	for k, v := range c.BaselineCoverage {
		r.addMetric("baseline_eval_"+k+"_coverage", v.Share(), c.EndedAt)
	}
	for key, value := range c.Used {
		_, name, _ := strings.Cut(key, ".")
		r.addParam("used_"+name, value)
	}
	for i, n := range c.Notes {
		r.addTag(fmt.Sprintf("tunebus.note.%d", i+1), n)
	}
	if c.Error != nil {
		r.addParam(phaseLabel(p)+"_error", c.Error.Message)
	}
	r.finish(c.Conclusion, c.EndedAt)
}

// childRunName is the name that the section of the phase gives, or else the
// name of the pipeline run followed by the phase; and the prefix and suffix of
// the section around it.
func childRunName(a events.PipelineAccepted, p events.Phase) string {
	s := a.Specification
	name := map[events.Phase][3]string{
		events.Finetune:   {s.FineTuner.RunNamePrefix, s.FineTuner.RunName, s.FineTuner.RunNameSuffix},
		events.Inference:  {s.Inferencer.RunNamePrefix, s.Inferencer.RunName, s.Inferencer.RunNameSuffix},
		events.Evaluation: {s.Evaluator.RunNamePrefix, s.Evaluator.RunName, s.Evaluator.RunNameSuffix},
	}[p]
	if name[1] == "" {
		name[1] = a.RunName + "_" + phaseLabel(p)
	}
	return strings.Join(name[:], "")
}

// modelURL is the page of the base model on the Hugging Face Hub; empty if the
// model was uploaded or is a path.
func modelURL(run events.Run) string {
	id := run.Accepted.Specification.FineTuner.BaseModelID
	_, uploaded := run.Accepted.Inputs.Files["fine_tuner.base_model_id"]
	if uploaded || strings.Count(id, "/") != 1 || strings.HasPrefix(id, ".") {
		return ""
	}
	return "https://huggingface.co/" + id
}
