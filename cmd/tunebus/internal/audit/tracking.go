package audit

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// parentPhase is the phase tag of the parent run in MLflow.
const parentPhase = "pipeline"

// trackingAudit checks that a run and each of its phases that started has one
// MLflow run, with the data of the stream.
type trackingAudit struct {
	*findings
	tracked []snapshot.TrackedRun
	objects map[string]snapshot.Object
}

func (a trackingAudit) check(r *runHistory) {
	if !r.isTracked() {
		return
	}
	completed := r.run.Completed
	parent := a.findTracked(r, parentPhase)
	if parent != nil {
		a.checkEnd(*parent, completed.Conclusion, completed.EndedAt.UnixMilli())
		a.checkParam(*parent, "pipeline_success", strconv.FormatBool(completed.Conclusion == events.Success))
		a.checkParam(*parent, "pipeline_start_time", "")
	}
	for p, state := range r.run.Phases {
		if len(state.Attempts) == 0 || state.Completed == nil {
			continue
		}
		child := a.findTracked(r, string(p))
		if child == nil {
			continue
		}
		if parent != nil && child.Tags["mlflow.parentRunId"] != parent.ID {
			a.add(Torn, child.Folder, "is not below the MLflow run of its pipeline")
		}
		a.checkEnd(*child, state.Completed.Conclusion, state.Completed.EndedAt.UnixMilli())
		a.checkParam(*child, "phase", "")
		a.checkMetrics(*child, a.metricHistory(r, p, *state.Completed))
		a.checkArtifacts(*child, state.Completed.Artifacts)
	}
}

// findTracked returns the MLflow run of a phase of a run, or nil.
func (a trackingAudit) findTracked(r *runHistory, phase string) *snapshot.TrackedRun {
	var found []snapshot.TrackedRun
	for _, t := range a.tracked {
		if t.Tags["tunebus.run_id"] == r.id && t.Tags["tunebus.phase"] == phase {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		a.add(Lost, r.id, "has no MLflow run of %s", phase)
		return nil
	}
	for _, t := range found[1:] {
		a.add(Duplicated, t.Folder, "is a second MLflow run of %s of run %s", phase, r.id)
	}
	return &found[0]
}

func (a trackingAudit) checkEnd(t snapshot.TrackedRun, conclusion events.Conclusion, endTime int64) {
	want := map[events.Conclusion]string{events.Success: "3", events.Failure: "4", events.Cancelled: "5"}[conclusion]
	switch {
	case t.Status == "1":
		a.add(Stuck, t.Folder, "has not ended")
	case t.Status != want:
		a.add(Torn, t.Folder, "has status %s; %s is %s", t.Status, conclusion, want)
	case t.EndTime != endTime:
		a.add(Torn, t.Folder, "ended at %d; the stream says %d", t.EndTime, endTime)
	}
}

// checkParam checks that a parameter exists and, unless value is empty, its
// value.
func (a trackingAudit) checkParam(t snapshot.TrackedRun, name, value string) {
	switch got, ok := t.Params[name]; {
	case !ok:
		a.add(Lost, t.Folder, "has no parameter %s", name)
	case value != "" && got != value:
		a.add(Torn, t.Folder, "says that %s is %s; it is %s", name, got, value)
	}
}

// checkFolder checks that an artifact that is a folder has files.
func (a trackingAudit) checkFolder(t snapshot.TrackedRun, name string) {
	for file := range t.Artifacts {
		if strings.HasPrefix(file, name+"/") {
			return
		}
	}
	a.add(Lost, t.Folder, "has no artifact %s", name)
}

func (a trackingAudit) checkArtifacts(t snapshot.TrackedRun, artifacts []events.Artifact) {
	for _, artifact := range artifacts {
		if artifact.Name == metricsName {
			continue // MLflow has the points as metrics
		}
		if artifact.Reference.MediaType == mediaFolder {
			a.checkFolder(t, artifact.Name)
			continue
		}
		name := path.Base(artifact.Reference.Key)
		switch digest := t.Artifacts[name]; digest {
		case artifact.Reference.SHA256:
		case "":
			a.add(Lost, t.Folder, "has no artifact %s", name)
		default:
			a.add(Torn, t.Folder, "has an artifact %s that is not the phase's", name)
		}
	}
}

// checkMetrics checks that each metric has one point for each step, and exactly
// the points of the history if the phase has one.
func (a trackingAudit) checkMetrics(t snapshot.TrackedRun, history map[string]map[int64]snapshot.Point) {
	for _, key := range slices.Sorted(maps.Keys(t.Metrics)) {
		seen := map[int64]bool{}
		for _, p := range t.Metrics[key] {
			if seen[p.Step] {
				a.add(Duplicated, t.Folder, "has step %d of %s twice", p.Step, key)
			}
			seen[p.Step] = true
			if want, ok := history[key][p.Step]; history[key] != nil && (!ok || want != p) {
				a.add(Torn, t.Folder, "has %+v of %s, the history of the phase %+v", p, key, want)
			}
		}
	}
	for key, points := range history {
		missing := 0
		for step := range points {
			if !slices.ContainsFunc(t.Metrics[key], func(p snapshot.Point) bool { return p.Step == step }) {
				missing++
			}
		}
		if missing > 0 {
			a.add(Lost, t.Folder, "lacks %d of the %d points of %s", missing, len(points), key)
		}
	}
}
