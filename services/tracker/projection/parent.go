package projection

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Parent is the MLflow run of the whole pipeline run. version is the version
// of this program.
func (s Snapshot) Parent(version string) MLflowRun { return parent(s.Run, version) }

// ParamVersion is the parameter that holds the version of the tracker that
// wrote the run first.
const ParamVersion = "pipeline_version"

// ParamRequested is the parameter that holds when the run was asked for. It tells runs of one
// id apart.
const ParamRequested = "pipeline_start_time"

// ParamRequestedExactly is the same to the nanosecond. Earlier versions did not write it.
const ParamRequestedExactly = "pipeline_requested_at"

func parent(run events.Run, version string) MLflowRun {
	a := *run.Accepted
	r := MLflowRun{
		Key: mlflow.RunKey{RunID: a.RunID, Phase: parentPhase},
		Run: mlflow.Run{Name: a.RunName, StartTime: a.RequestedAt},
	}
	r.addParam(ParamRequested, a.RequestedAt.UTC().Format(time.RFC3339))
	r.addParam(ParamRequestedExactly, a.RequestedAt.UTC().Format(time.RFC3339Nano))
	r.addParam(ParamVersion, version)
	for _, v := range structconf.Values(a.Specification) {
		r.addParam(sectionPrefix(v.Section)+v.Name, v.Text)
	}
	for _, label := range slices.Sorted(maps.Keys(a.Labels)) {
		r.addTag("label."+label, a.Labels[label])
	}
	r.addLineage(a)
	for what, p := range run.Published {
		if p.Outcome == events.Pushed {
			r.addTag("tunebus.hub."+string(what), p.Link+"/tree/"+p.Revision)
		}
	}
	for p, state := range run.Phases {
		if c := state.Completed; c != nil {
			r.addDuration(metricName(p), c.StartedAt, c.EndedAt)
			if c.Error != nil {
				r.addParam(metricName(p)+"_error", c.Error.Message)
			}
		}
	}
	if c := run.Completed; c != nil {
		r.addParam("pipeline_end_time", c.EndedAt.UTC().Format(time.RFC3339))
		r.addParam("pipeline_success", strconv.FormatBool(c.Conclusion == events.Success))
		r.addParam("pipeline_results_summary", summary(*c))
		r.addDuration("pipeline_total", c.StartedAt, c.EndedAt)
		if why := runsummary.Shortfall(run); why != "" { // MLflow's own status has no word for it
			r.addTag("tunebus.status", string(runsummary.StatusPartial))
			r.addTag("tunebus.shortfall", why)
		}
		r.finish(c.Conclusion, c.EndedAt)
	}
	r.sort()
	return r
}

// sectionPrefix begins the parameters of a section of the specification.
func sectionPrefix(section string) string {
	return map[string]string{
		"fine_tuner": "finetuner_",
		"inferencer": "inferencer_",
		"evaluator":  "evaluator_",
		"mlflow":     "mlflow_",
		"pipeline":   "pipeline_",
	}[section]
}

// addLineage adds the run or request that this run repeats: as parameters to
// compare runs, as tags to search runs, and as the description.
func (r *MLflowRun) addLineage(a events.PipelineAccepted) {
	if l := a.Lineage; l.RerunOf != "" && len(a.Plan) > 0 {
		from := string(a.Plan[0].Phase)
		r.addParam("pipeline_rerun_of", l.RerunOf)
		r.addParam("pipeline_rerun_from", from)
		r.addTag("tunebus.rerun_of", l.RerunOf)
		r.addTag("tunebus.rerun_from", from)
		r.addTag("mlflow.note.content", fmt.Sprintf(
			"Repeats run %s from %s on, and uses again what that run made before it. Find it with: tags.`%s` = '%s'",
			l.RerunOf, from, mlflow.TagRunID, l.RerunOf))
	}
	if n := a.Lineage.ReplayOf; n > 0 {
		r.addTag("tunebus.replay_of", strconv.FormatUint(n, 10))
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
