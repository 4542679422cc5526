package tracker

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// desired is what MLflow should say about one of its runs.
type desired struct {
	key     mlflow.RunKey
	run     mlflow.Run
	params  []mlflow.Param
	metrics []mlflow.Metric
	tags    []mlflow.Tag
	inputs  []mlflow.Dataset
	// status is empty while the run goes on.
	status mlflow.Status
	end    time.Time
	// phase is set for children; it is zero for the parent.
	phase *events.PhaseState
}

// phaseParent is the phase tag of the parent run.
const phaseParent = "pipeline"

// names of the phases as users of MLflow know them: the name of the child
// run, and the prefix of the duration.
func names(p events.Phase) (child, duration string) {
	switch p {
	case events.Finetune:
		return "finetuning", "finetuning"
	case events.Inference:
		return "inferencing", "inference"
	default:
		return "evaluation", "evaluation"
	}
}

// parent is what the parent run should say.
func parent(run events.Run, version string) desired {
	a := *run.Accepted
	d := desired{
		key: mlflow.RunKey{RunID: a.RunID, Phase: phaseParent},
		run: mlflow.Run{Name: a.RunName, StartTime: a.RequestedAt},
	}
	d.params = append(d.params,
		mlflow.Param{Key: "pipeline_start_time", Value: a.RequestedAt.UTC().Format(time.RFC3339)},
		mlflow.Param{Key: "pipeline_version", Value: version})
	prefix := map[string]string{"fine_tuner": "finetuner_", "inferencer": "inferencer_", "evaluator": "evaluator_", "mlflow": "mlflow_", "pipeline": "pipeline_"}
	for _, v := range structconf.Values(a.Specification) {
		d.params = append(d.params, mlflow.Param{Key: prefix[v.Section] + v.Name, Value: v.Text})
	}
	for k, v := range a.Labels {
		d.tags = append(d.tags, mlflow.Tag{Key: "label." + k, Value: v})
	}
	d.params, d.tags = descent(a, d.params, d.tags)
	for p, state := range run.Phases {
		if c := state.Completed; c != nil {
			_, n := names(p)
			d.metrics = append(d.metrics, duration(n, c.EndedAt.Sub(c.StartedAt), c.EndedAt)...)
			if c.Error != nil {
				d.params = append(d.params, mlflow.Param{Key: n + "_error", Value: c.Error.Message})
			}
		}
	}
	if c := run.Completed; c != nil {
		d.params = append(d.params,
			mlflow.Param{Key: "pipeline_end_time", Value: c.EndedAt.UTC().Format(time.RFC3339)},
			mlflow.Param{Key: "pipeline_success", Value: strconv.FormatBool(c.Conclusion == events.Success)},
			mlflow.Param{Key: "pipeline_results_summary", Value: summary(*c)})
		d.metrics = append(d.metrics, duration("pipeline_total", c.EndedAt.Sub(c.StartedAt), c.EndedAt)...)
		d.status, d.end = status(c.Conclusion), c.EndedAt
	}
	sort.Slice(d.params, func(i, j int) bool { return d.params[i].Key < d.params[j].Key })
	return d
}

// descent says which run or request a run comes from, where people who browse
// MLflow look: among the parameters to compare runs, in tags to search them,
// and in the description.
func descent(a events.PipelineAccepted, params []mlflow.Param, tags []mlflow.Tag) ([]mlflow.Param, []mlflow.Tag) {
	if l := a.Lineage; l.RerunOf != "" && len(a.Plan) > 0 {
		from := string(a.Plan[0].Phase)
		params = append(params, mlflow.Param{Key: "pipeline_rerun_of", Value: l.RerunOf}, mlflow.Param{Key: "pipeline_rerun_from", Value: from})
		tags = append(tags, mlflow.Tag{Key: "tunebus.rerun_of", Value: l.RerunOf}, mlflow.Tag{Key: "tunebus.rerun_from", Value: from},
			mlflow.Tag{Key: "mlflow.note.content", Value: fmt.Sprintf("Repeats run %s from %s on, and uses again what that run made before it. Find it with: tags.`%s` = '%s'", l.RerunOf, from, mlflow.TagRunID, l.RerunOf)})
	}
	if n := a.Lineage.ReplayOf; n > 0 {
		tags = append(tags, mlflow.Tag{Key: "tunebus.replay_of", Value: strconv.FormatUint(n, 10)})
	}
	return params, tags
}

func duration(name string, d time.Duration, at time.Time) []mlflow.Metric {
	return []mlflow.Metric{
		{Key: name + "_duration_seconds", Value: d.Seconds(), Timestamp: at},
		{Key: name + "_duration_minutes", Value: d.Minutes(), Timestamp: at},
	}
}

// summary is one line for people.
func summary(c events.PipelineCompleted) string {
	var parts []string
	for _, p := range c.Phases {
		parts = append(parts, fmt.Sprintf("%s: %s in %.1f s", p.Phase, p.Conclusion, p.DurationSeconds))
	}
	return fmt.Sprintf("%s (%s)", c.Conclusion, strings.Join(parts, ", "))
}

func status(c events.Conclusion) mlflow.Status {
	switch c {
	case events.Success:
		return mlflow.Finished
	case events.Cancelled:
		return mlflow.Killed
	default:
		return mlflow.Failed
	}
}

// child is what the run of a phase should say.
func child(run events.Run, p events.Phase, state *events.PhaseState) desired {
	a := *run.Accepted
	suffix, _ := names(p)
	d := desired{key: mlflow.RunKey{RunID: a.RunID, Phase: string(p)}, phase: state}
	d.run = mlflow.Run{Name: childName(a, p, suffix)}
	d.params = append(d.params, mlflow.Param{Key: "phase", Value: suffix}, mlflow.Param{Key: "run_name", Value: d.run.Name},
		mlflow.Param{Key: "base_model_name", Value: a.Specification.FineTuner.BaseModelID},
		mlflow.Param{Key: "base_model_url", Value: modelURL(run)})
	section := map[events.Phase]string{events.Finetune: "fine_tuner", events.Inference: "inferencer", events.Evaluation: "evaluator"}[p]
	for _, v := range structconf.Values(a.Specification) {
		if v.Section == section {
			d.params = append(d.params, mlflow.Param{Key: "config_" + v.Name, Value: v.Text})
		}
	}
	d.inputs = datasets(run, p, state.Completed)
	d.tags = attempts(state)
	c := state.Completed
	if c == nil {
		return d
	}
	for k, v := range c.Statistics {
		d.metrics = append(d.metrics, mlflow.Metric{Key: k, Value: v, Timestamp: c.EndedAt})
	}
	for k, v := range c.BaselineScores {
		d.metrics = append(d.metrics, mlflow.Metric{Key: "baseline_eval_" + k, Value: v, Timestamp: c.EndedAt})
	}
	sort.Slice(d.metrics, func(i, j int) bool { return d.metrics[i].Key < d.metrics[j].Key })
	for i, n := range c.Notes {
		d.tags = append(d.tags, mlflow.Tag{Key: fmt.Sprintf("tunebus.note.%d", i+1), Value: n})
	}
	if c.Error != nil {
		d.params = append(d.params, mlflow.Param{Key: suffix + "_error", Value: c.Error.Message})
	}
	d.status, d.end = status(c.Conclusion), c.EndedAt
	return d
}

// childName is the pipeline's name with the phase behind it, unless the
// phase's section names its run, and what that section puts around it.
func childName(a events.PipelineAccepted, p events.Phase, suffix string) string {
	s := a.Specification
	own := map[events.Phase][3]string{
		events.Finetune:   {s.FineTuner.RunNamePrefix, s.FineTuner.RunName, s.FineTuner.RunNameSuffix},
		events.Inference:  {s.Inferencer.RunNamePrefix, s.Inferencer.RunName, s.Inferencer.RunNameSuffix},
		events.Evaluation: {s.Evaluator.RunNamePrefix, s.Evaluator.RunName, s.Evaluator.RunNameSuffix},
	}[p]
	if own[1] == "" {
		own[1] = a.RunName + "_" + suffix
	}
	return strings.Join(own[:], "")
}

func modelURL(run events.Run) string {
	id := run.Accepted.Specification.FineTuner.BaseModelID
	if _, uploaded := run.Accepted.Inputs.Files["fine_tuner.base_model_id"]; uploaded || strings.Count(id, "/") != 1 || strings.HasPrefix(id, ".") {
		return ""
	}
	return "https://huggingface.co/" + id
}
