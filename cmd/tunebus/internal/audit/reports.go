package audit

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// reports wants the files of a run that has ended, and its line in the list.
func (c *check) reports(r *story) {
	done := r.fold.Completed
	if done == nil || r.fold.Tracked == nil {
		return // which is a fault of its own
	}
	files := c.state.Reports[r.id]
	object := "reports of run " + r.id
	var summary struct {
		RunID      string            `json:"run_id"`
		Conclusion events.Conclusion `json:"conclusion"`
	}
	switch body, ok := files["pipeline_summary.json"]; {
	case !ok:
		c.add(Lost, object, "pipeline_summary.json is not there")
	case json.Unmarshal(body, &summary) != nil || summary.RunID != r.id || summary.Conclusion != done.Conclusion:
		c.add(Torn, object, "pipeline_summary.json tells of run %q, which concluded with %q", summary.RunID, summary.Conclusion)
	}
	if p := r.fold.Phases[events.Evaluation]; p != nil && p.Completed != nil && p.Completed.Conclusion == events.Success {
		body, ok := files["evaluator_output_summary.json"]
		if !ok {
			c.add(Lost, object, "evaluator_output_summary.json is not there")
		} else if !json.Valid(body) {
			c.add(Torn, object, "evaluator_output_summary.json is no JSON")
		}
		if body, ok = files["evaluator_output_detailed.xlsx"]; !ok {
			c.add(Lost, object, "evaluator_output_detailed.xlsx is not there")
		} else if _, err := zip.NewReader(bytes.NewReader(body), int64(len(body))); err != nil {
			c.add(Torn, object, "evaluator_output_detailed.xlsx: %v", err)
		}
	}
	var lines []string
	for _, l := range c.state.List {
		if l.RunID == r.id {
			lines = append(lines, l.Status)
		}
	}
	switch {
	case len(lines) == 0:
		c.add(Lost, r.id, "has no line in the list of runs")
	case len(lines) > 1:
		c.add(Duplicated, r.id, "has %d lines in the list of runs", len(lines))
	case lines[0] != string(done.Conclusion):
		c.add(Torn, r.id, "is %s in the list of runs, and concluded with %s", lines[0], done.Conclusion)
	}
}

// unsettled wants every message to be settled, and none given up but those
// that a rejection answers.
func (c *check) unsettled() {
	for _, consumer := range c.state.Consumers {
		if consumer.Pending+consumer.Held > 0 {
			c.add(Stuck, consumer.Stream+"/"+consumer.Name, "%d messages wait for it, and %d are not settled", consumer.Pending, consumer.Held)
		}
	}
	letters := map[string]bool{}
	for _, m := range c.state.Dead {
		sequence, request := strings.CutPrefix(m.Subject, "dead."+events.StreamRequests+".")
		seq, err := strconv.ParseUint(sequence, 10, 64)
		switch {
		case strings.HasPrefix(m.Subject, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."): // comes with its letter
		case letters[m.Subject]:
			c.add(Duplicated, m.Subject, "is a second letter of one message")
		case !request || err != nil || !rejected(c.answers[seq]):
			c.add(Lost, m.Subject, "was given up")
		}
		letters[m.Subject] = true
	}
}

func rejected(answers []string) bool {
	return len(answers) == 1 && strings.HasPrefix(answers[0], events.TypePipelineRejected+".")
}
