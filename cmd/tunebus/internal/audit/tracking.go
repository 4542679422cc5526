package audit

import (
	"maps"
	"path"
	"slices"
	"strconv"

	"github.com/tunebus/tunebus/events"
)

// parentPhase is the phase tag of a run's parent in MLflow.
const parentPhase = "pipeline"

// tracking wants one MLflow run for the run and for each phase that was begun,
// as the stream tells of them.
func (c *check) tracking(r *story) {
	done := r.fold.Completed
	if done == nil || r.fold.Tracked == nil {
		return // which is a fault of its own
	}
	parent := c.tracked(r, parentPhase)
	if parent != nil {
		c.ended(*parent, done.Conclusion, done.EndedAt.UnixMilli())
		c.param(*parent, "pipeline_success", strconv.FormatBool(done.Conclusion == events.Success))
		c.param(*parent, "pipeline_start_time", "")
	}
	for p, state := range r.fold.Phases {
		if len(state.Attempts) == 0 || state.Completed == nil {
			continue
		}
		run := c.tracked(r, string(p))
		if run == nil {
			continue
		}
		if parent != nil && run.Tags["mlflow.parentRunId"] != parent.ID {
			c.add(Torn, run.Folder, "is not below the MLflow run of its pipeline")
		}
		c.ended(*run, state.Completed.Conclusion, state.Completed.EndedAt.UnixMilli())
		c.param(*run, "phase", "")
		c.charts(*run, c.history(r, p, *state.Completed))
		for _, a := range state.Completed.Artifacts {
			if a.Name == metricsName {
				continue
			}
			switch digest := run.Artifacts[path.Base(a.Reference.Key)]; digest {
			case a.Reference.SHA256:
			case "":
				c.add(Lost, run.Folder, "has no artifact %s", path.Base(a.Reference.Key))
			default:
				c.add(Torn, run.Folder, "has an artifact %s that is not the phase's", path.Base(a.Reference.Key))
			}
		}
	}
}

// tracked finds the one MLflow run of a run and phase.
func (c *check) tracked(r *story, phase string) *TrackedRun {
	var found []TrackedRun
	for _, t := range c.state.Tracked {
		if t.Tags["tunebus.run_id"] == r.id && t.Tags["tunebus.phase"] == phase {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		c.add(Lost, r.id, "has no MLflow run of %s", phase)
		return nil
	}
	for _, t := range found[1:] {
		c.add(Duplicated, t.Folder, "is a second MLflow run of %s of run %s", phase, r.id)
	}
	return &found[0]
}

func (c *check) ended(t TrackedRun, how events.Conclusion, at int64) {
	want := map[events.Conclusion]string{events.Success: "3", events.Failure: "4", events.Cancelled: "5"}[how]
	switch {
	case t.Status == "1":
		c.add(Stuck, t.Folder, "has not ended")
	case t.Status != want:
		c.add(Torn, t.Folder, "has status %s; %s is %s", t.Status, how, want)
	case t.EndTime != at:
		c.add(Torn, t.Folder, "ended at %d; the stream says %d", t.EndTime, at)
	}
}

// param wants a parameter; an empty value is any.
func (c *check) param(t TrackedRun, name, value string) {
	switch got, ok := t.Params[name]; {
	case !ok:
		c.add(Lost, t.Folder, "has no parameter %s", name)
	case value != "" && got != value:
		c.add(Torn, t.Folder, "says that %s is %s; it is %s", name, got, value)
	}
}

// charts wants each step of each metric once, and those of the history, where
// there is one, as they are there.
func (c *check) charts(t TrackedRun, history map[string]map[int64]Point) {
	for _, key := range slices.Sorted(maps.Keys(t.Metrics)) {
		had := map[int64]bool{}
		for _, p := range t.Metrics[key] {
			if had[p.Step] {
				c.add(Duplicated, t.Folder, "has step %d of %s twice", p.Step, key)
			}
			had[p.Step] = true
			if want, ok := history[key][p.Step]; history[key] != nil && (!ok || want != p) {
				c.add(Torn, t.Folder, "has %+v of %s, the history of the phase %+v", p, key, want)
			}
		}
	}
	for key, points := range history {
		missing := 0
		for step := range points {
			if !slices.ContainsFunc(t.Metrics[key], func(p Point) bool { return p.Step == step }) {
				missing++
			}
		}
		if missing > 0 {
			c.add(Lost, t.Folder, "lacks %d of the %d points of %s", missing, len(points), key)
		}
	}
}

// unknown wants every MLflow run, every folder of reports and every line of
// the list to belong to a run.
func (c *check) unknown() {
	known := func(id string) bool { return c.runs[id] != nil && c.runs[id].fold.Accepted != nil }
	for _, t := range c.state.Tracked {
		if !known(t.Tags["tunebus.run_id"]) {
			c.add(Left, t.Folder, "is an MLflow run of no run")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.state.Reports)) {
		if !known(id) {
			c.add(Left, id, "has reports and is no run")
		}
	}
	for _, line := range c.state.List {
		if !known(line.RunID) {
			c.add(Left, line.RunID, "is in the list of runs and is no run")
		}
	}
}
