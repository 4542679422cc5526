package audit

import (
	"archive/zip"
	"bytes"
	"encoding/json"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// reportAudit checks that a tracked run has its reports and one line in the list
// of runs.
type reportAudit struct {
	*findings
	files map[string]map[string][]byte // by run id and name
	list  []snapshot.Line
}

func (a reportAudit) check(r *runHistory) {
	if !r.isTracked() {
		return
	}
	a.checkSummary(r)
	if p := r.run.Phases[events.Evaluation]; p != nil && p.Completed != nil && p.Completed.Conclusion == events.Success {
		a.checkScores(r)
	}
	a.checkList(r)
}

func (a reportAudit) checkSummary(r *runHistory) {
	var summary struct {
		RunID      string            `json:"run_id"`
		Conclusion events.Conclusion `json:"conclusion"`
	}
	object := reportsOf(r)
	switch body, ok := a.files[r.id]["pipeline_summary.json"]; {
	case !ok:
		a.add(Lost, object, "pipeline_summary.json is not there")
	case json.Unmarshal(body, &summary) != nil || summary.RunID != r.id || summary.Conclusion != r.run.Completed.Conclusion:
		a.add(Torn, object, "pipeline_summary.json is the summary of run %q, which concluded with %q", summary.RunID, summary.Conclusion)
	}
}

func (a reportAudit) checkScores(r *runHistory) {
	object, files := reportsOf(r), a.files[r.id]
	body, ok := files["evaluator_output_summary.json"]
	if !ok {
		a.add(Lost, object, "evaluator_output_summary.json is not there")
	} else if !json.Valid(body) {
		a.add(Torn, object, "evaluator_output_summary.json is no JSON")
	}
	if body, ok = files["evaluator_output_detailed.xlsx"]; !ok {
		a.add(Lost, object, "evaluator_output_detailed.xlsx is not there")
	} else if _, err := zip.NewReader(bytes.NewReader(body), int64(len(body))); err != nil {
		a.add(Torn, object, "evaluator_output_detailed.xlsx: %v", err)
	}
}

func (a reportAudit) checkList(r *runHistory) {
	var statuses []string
	for _, l := range a.list {
		if l.RunID == r.id {
			statuses = append(statuses, l.Status)
		}
	}
	want := string(runsummary.StatusOf(r.run))
	switch {
	case len(statuses) == 0:
		a.add(Lost, r.id, "has no line in the list of runs")
	case len(statuses) > 1:
		a.add(Duplicated, r.id, "has %d lines in the list of runs", len(statuses))
	case statuses[0] != want:
		a.add(Torn, r.id, "is %s in the list of runs, and ended as %s", statuses[0], want)
	}
}

func reportsOf(r *runHistory) string { return "reports of run " + r.id }
