package intake_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// oldRuns creates runs that ended in each possible way, and one that has not.
func oldRuns(t *testing.T) *fixture {
	t.Helper()
	f := open(t, intake.Config{}, topology.Topology{Queues: map[events.Phase][]string{
		events.Finetune: {"builtin", "big"}, events.Inference: {"builtin"}, events.Evaluation: {"builtin"},
	}})
	model := events.Artifact{Name: events.ArtifactModel, Reference: reference("model")}
	predictions := events.Artifact{Name: events.ArtifactPredictions, Reference: reference("predictions")}
	files := map[string]events.Reference{"fine_tuner.training_data_id": reference("data"), "inferencer.testing_data_id": reference("test")}
	submit := func(id string, pipeline map[string]any) {
		f.request(t, events.PipelineRequested{RunID: id, Inputs: events.Inputs{Files: files}, Labels: map[string]string{"team": "search", "kind": "nightly"},
			Queues: map[events.Phase]string{events.Finetune: "big"}, Specification: specification(t, map[string]map[string]any{"pipeline": pipeline})})
		f.accepted(t, id)
	}
	upTo := func(id string, how ...events.Conclusion) {
		for i, p := range events.Phases()[:len(how)] {
			made := [][]events.Artifact{{model}, {predictions}, nil}[i]
			if how[i] != events.Success {
				made = nil
			}
			f.finish(t, id, p, how[i], made...)
		}
	}
	submit("good", nil)
	upTo("good", events.Success, events.Success, events.Success)
	submit("untuned", nil)
	upTo("untuned", events.Failure)
	submit("unanswered", nil)
	upTo("unanswered", events.Success, events.Failure)
	submit("cancelled", nil)
	upTo("cancelled", events.Success, events.Cancelled)
	submit("stopped", map[string]any{"stop_after_finetuning": true})
	upTo("stopped", events.Success)
	submit("going", nil)
	upTo("going", events.Success)
	f.until(t, "going", "its inference", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	for _, id := range []string{"good", "untuned", "unanswered", "cancelled", "stopped"} {
		f.ended(t, id)
	}
	// The run "second" repeats "good" from inference on, and succeeds.
	f.request(t, events.PipelineRequested{RunID: "second", RerunOf: "good", From: events.Inference, Specification: json.RawMessage(`{}`)})
	f.finish(t, "second", events.Inference, events.Success, predictions)
	f.finish(t, "second", events.Evaluation, events.Success)
	f.ended(t, "second")
	return f
}

// TestRerunStartPhase: a rerun starts from the phase that the request names, or
// else from the first phase that failed or whose keys changed. It reuses the
// results of the phases before that one, and no others.
func TestRerunStartPhase(t *testing.T) {
	t.Parallel()
	f := oldRuns(t)
	for _, c := range []struct {
		name, of string
		from     events.Phase
		changes  string
		// the phases of the new run, and the results that it reuses
		plan, reused string
	}{
		{"all of it", "good", "", `{}`, "finetune inference evaluation", ""},
		{"chosen by the request", "good", events.Evaluation, `{}`, "evaluation", "model predictions"},
		{"a failed phase", "unanswered", "", `{}`, "inference evaluation", "model"},
		{"a cancelled phase", "cancelled", "", `null`, "inference evaluation", "model"},
		{"a failed first phase", "untuned", "", `{}`, "finetune inference evaluation", ""},
		{"a change", "good", "", `{"inferencer": {"temperature": 0}}`, "inference evaluation", "model"},
		{"a change of nothing", "good", "", `{"inferencer": {"temperature": 0.7}}`, "finetune inference evaluation", ""},
		{"a change for no phase", "unanswered", "", `{"mlflow": {"run_name": "again"}}`, "inference evaluation", "model"},
		{"a change before the failure", "unanswered", "", `{"fine_tuner": {"epochs": 1}}`, "finetune inference evaluation", ""},
		{"a change after the failure", "unanswered", "", `{"evaluator": {"metrics": ["chrf"]}}`, "inference evaluation", "model"},
		{"after the phase where it stopped", "stopped", "", `{"pipeline": {"stop_after_finetuning": false}}`, "inference evaluation", "model"},
		{"the same", "second", "", `{}`, "inference evaluation", "model"},
		{"before the same", "second", events.Finetune, `{}`, "finetune inference evaluation", ""},
		{"a change before the same", "second", "", `{"fine_tuner": {"epochs": 1}}`, "finetune inference evaluation", ""},
		{"without tuning", "good", "", `{"pipeline": {"enable_finetuning": false}}`, "inference evaluation", ""},
		{"without tuning, the same", "second", "", `{"pipeline": {"enable_finetuning": false}}`, "inference evaluation", ""},
		{"without the tuning that failed", "untuned", events.Inference, `{"pipeline": {"enable_finetuning": false}}`, "inference evaluation", ""},
		{"another model without tuning", "good", "", `{"pipeline": {"enable_finetuning": false}, "fine_tuner": {"base_model_id": "owner/other"}}`, "inference evaluation", ""},
		{"beside a run that has not ended", "going", events.Inference, `{}`, "inference evaluation", "model"},
		{"unchanged keys", "good", events.Inference, `{"fine_tuner": {"epochs": 3}, "inferencer": {"seed": 7}}`, "inference evaluation", "model"},
	} {
		id := strings.NewReplacer(" ", "-", ",", "").Replace(c.name)
		f.request(t, events.PipelineRequested{RunID: id, RerunOf: c.of, From: c.from, Specification: json.RawMessage(c.changes)})
		a := f.accepted(t, id).Accepted
		var plan, reused []string
		for _, s := range a.Plan {
			plan = append(plan, string(s.Phase))
		}
		if a.Inputs.Model != nil {
			reused = append(reused, "model")
		}
		if a.Inputs.Predictions != nil {
			reused = append(reused, "predictions")
		}
		if got := strings.Join(plan, " "); got != c.plan {
			t.Errorf("%s: it does %s, want %s", c.name, got, c.plan)
		}
		if got := strings.Join(reused, " "); got != c.reused {
			t.Errorf("%s: it reuses %q, want %q", c.name, got, c.reused)
		}
		if a.Lineage.RerunOf != c.of || a.Labels["team"] != "search" {
			t.Errorf("%s: %+v, labels %v", c.name, a.Lineage, a.Labels)
		}
		if a.Plan[0].Phase == events.Finetune && a.Plan[0].Queue != "big" && c.of != "second" { // which had no such job
			t.Errorf("%s: tuned in queue %s", c.name, a.Plan[0].Queue)
		}
	}
}

// TestRerunInherits: the specification, files, labels and queues of the old run,
// except those that the request changes.
func TestRerunInherits(t *testing.T) {
	t.Parallel()
	f := oldRuns(t)
	other, own := reference("other"), reference("own")
	other.SHA256 = strings.Repeat("c", 64)
	f.request(t, events.PipelineRequested{
		RunID: "new", RerunOf: "good", RunName: "n", Labels: map[string]string{"kind": "try"}, Queues: map[events.Phase]string{events.Finetune: "builtin"},
		Specification: json.RawMessage(`{"fine_tuner": {"epochs": 7}, "inferencer": {"testing_data_id": "owner/other"}}`),
		Inputs:        events.Inputs{Files: map[string]events.Reference{"fine_tuner.training_data_id": other}, Model: &own},
	})
	a := f.accepted(t, "new").Accepted
	old, err := history.New(f.bus).Run(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	want := old.Accepted.Specification
	want.FineTuner.Epochs, want.Inferencer.TestingDataID = 7, "owner/other"
	if g, w := text(t, a.Specification), text(t, want); g != w {
		t.Errorf("specification %s, want %s", g, w)
	}
	if files := map[string]events.Reference{"fine_tuner.training_data_id": other}; !maps.Equal(a.Inputs.Files, files) {
		t.Errorf("files %v, want %v", a.Inputs.Files, files)
	}
	if a.RunName != "n" || a.Labels["team"] != "search" || a.Labels["kind"] != "try" || a.Plan[0].Queue != "builtin" || !same(a.Inputs.Model, &own) {
		t.Errorf("accepted %+v", a)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRerunFaults: each fault has the key and the next step.
func TestRerunFaults(t *testing.T) {
	t.Parallel()
	f := oldRuns(t)
	changed := reference("changed")
	changed.SHA256 = strings.Repeat("d", 64)
	for _, c := range []struct {
		name    string
		req     events.PipelineRequested
		want    string // the keys
		message string // part of the message of the first key
	}{
		{"keys of a reused phase", events.PipelineRequested{RerunOf: "good", From: events.Evaluation, Specification: json.RawMessage(
			`{"fine_tuner": {"epochs": 7, "rank": 16}, "inferencer": {"temperature": 0}, "evaluator": {"metrics": ["chrf"]}}`)}, "fine_tuner.epochs inferencer.temperature", "start from finetune"},
		{"a file of a reused phase", events.PipelineRequested{RerunOf: "good", From: events.Inference,
			Inputs: events.Inputs{Files: map[string]events.Reference{"fine_tuner.training_data_id": changed}}}, "fine_tuner.training_data_id", "start from finetune"},
		{"a queue of a reused phase", events.PipelineRequested{RerunOf: "good", From: events.Inference,
			Queues: map[events.Phase]string{events.Finetune: "builtin"}}, "fine_tuner.queue", "start from finetune"},
		{"disabling a reused phase", events.PipelineRequested{RerunOf: "good", From: events.Inference,
			Specification: json.RawMessage(`{"pipeline": {"enable_finetuning": false}}`)}, "pipeline.enable_finetuning", "leave this out"},
		{"a run that has not ended", events.PipelineRequested{RerunOf: "going"}, "rerun_of", "has not ended"},
		{"a phase without a result yet", events.PipelineRequested{RerunOf: "going", From: events.Evaluation}, "inputs.predictions", "has not ended its inference yet"},
		{"a missing result", events.PipelineRequested{RerunOf: "untuned", From: events.Inference}, "inputs.model", "start from finetune"},
		{"a phase that is not enabled", events.PipelineRequested{RerunOf: "stopped", From: events.Evaluation}, "pipeline.stop_after_finetuning", "no phase is left"},
		{"a fault of the request", events.PipelineRequested{RerunOf: "good", Specification: json.RawMessage(`{"fine_tuner": {"epochs": 0, "rnk": 1}}`)}, "fine_tuner.epochs fine_tuner.rnk", "too small"},
	} {
		faults := f.faults(t, f.request(t, withChanges(c.req)))
		keys := slices.Sorted(maps.Keys(faults))
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("%s: faults of %s, want %s", c.name, got, c.want)
			continue
		}
		if !strings.Contains(faults[keys[0]].Message, c.message) {
			t.Errorf("%s: %+v", c.name, faults[keys[0]])
		}
	}
}

// withChanges returns the request with an empty specification if it has none.
func withChanges(req events.PipelineRequested) events.PipelineRequested {
	if req.Specification == nil {
		req.Specification = json.RawMessage(`{}`)
	}
	return req
}
