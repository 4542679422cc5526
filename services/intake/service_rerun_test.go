package intake_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/intake"
)

func reference(name string) events.Reference {
	return events.Reference{Store: store, Key: "runs/old/" + name, SHA256: strings.Repeat("b", 64)}
}

// finish completes the open phase of a run, and publishes the next event.
func (f *fixture) finish(t *testing.T, id string, p events.Phase, how events.Conclusion, artifacts ...events.Artifact) {
	t.Helper()
	f.until(t, id, "the job of "+string(p), func(r events.Run) bool { return r.Phases[p] != nil && r.Phases[p].Requested != nil })
	now := time.Now().UTC()
	f.publish(t, events.PhaseCompleted{RunID: id, Phase: p, Attempt: 1, Conclusion: how, StartedAt: now, EndedAt: now, Artifacts: artifacts})
	run := f.until(t, id, string(p), func(r events.Run) bool { return r.Phases[p].Completed != nil })
	if err := journal.New(f.bus).PublishNext(t.Context(), *run.Phases[p].Completed, run); err != nil {
		t.Fatal(err)
	}
}

// TestRerun: a run that repeats another one from a phase on has references to
// the results of the phases before.
func TestRerun(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	model, predictions := reference("model"), reference("predictions")
	files := map[string]events.Reference{"fine_tuner.training_data_id": reference("data")}
	f.request(t, events.PipelineRequested{RunID: "old", Inputs: events.Inputs{Files: files}})
	f.finish(t, "old", events.Finetune, events.Success, events.Artifact{Name: events.ArtifactModel, Reference: model})
	f.finish(t, "old", events.Inference, events.Success, events.Artifact{Name: events.ArtifactPredictions, Reference: predictions})
	f.finish(t, "old", events.Evaluation, events.Failure)
	f.request(t, events.PipelineRequested{RunID: "broken"})
	f.finish(t, "broken", events.Finetune, events.Failure)
	f.publish(t, events.PipelineAccepted{RunID: "moved", Specification: resolved(t), Inputs: events.Inputs{Model: &events.Reference{Store: "elsewhere", Key: "k", SHA256: model.SHA256}},
		Plan: []events.Step{{Phase: events.Inference, Queue: "builtin"}}, Lineage: events.Lineage{RequestSequence: 99}})
	own := reference("own")
	for _, c := range []struct {
		id, of    string
		from      events.Phase
		in        events.Inputs
		model     *events.Reference
		predicted *events.Reference
		plan      string
	}{
		{"from-evaluation", "old", events.Evaluation, events.Inputs{}, &model, &predictions, "evaluation"},
		{"from-inference", "old", events.Inference, events.Inputs{}, &model, nil, "inference evaluation"},
		{"from-finetune", "old", events.Finetune, events.Inputs{}, nil, nil, "finetune inference evaluation"},
		{"by-itself", "old", "", events.Inputs{}, &model, &predictions, "evaluation"},
		{"own-model", "old", events.Inference, events.Inputs{Model: &own}, &own, nil, "inference evaluation"},
		{"own-model-broken", "broken", events.Inference, events.Inputs{Model: &own}, &own, nil, "inference evaluation"},
	} {
		f.request(t, events.PipelineRequested{RunID: c.id, RerunOf: c.of, From: c.from, Inputs: c.in})
		a := f.accepted(t, c.id).Accepted
		var plan []string
		for _, s := range a.Plan {
			plan = append(plan, string(s.Phase))
		}
		if got := strings.Join(plan, " "); got != c.plan || a.Lineage.RerunOf != c.of {
			t.Errorf("%s: plan %s of %s", c.id, got, a.Lineage.RerunOf)
		}
		if !same(a.Inputs.Model, c.model) || !same(a.Inputs.Predictions, c.predicted) {
			t.Errorf("%s: inputs %+v", c.id, a.Inputs)
		}
		if c.of == "old" && a.Inputs.Files["fine_tuner.training_data_id"] != files["fine_tuner.training_data_id"] {
			t.Errorf("%s: files %v", c.id, a.Inputs.Files)
		}
	}
	for _, c := range []struct {
		of   string
		from events.Phase
		want string
	}{
		{"nobody", events.Inference, "rerun_of"},
		{"no such id", events.Inference, "rerun_of"},
		{"broken", events.Inference, "inputs.model"},
		{"broken", events.Evaluation, "inputs.predictions"},
		{"moved", events.Inference, "inputs.model"},
	} {
		faults := f.faults(t, f.request(t, events.PipelineRequested{RerunOf: c.of, From: c.from}))
		if got := strings.Join(slices.Sorted(maps.Keys(faults)), " "); got != c.want {
			t.Errorf("%s from %s: faults of %s, want %s", c.of, c.from, got, c.want)
		}
	}
}

// TestRerunOfUnreadableRun: the readable part of a run can be repeated. If
// something is missing, the unreadable fact is a fault too. A redelivery of the
// run's own request still finds the run.
func TestRerunOfUnreadableRun(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	publishInvalid := func(subject string) {
		t.Helper()
		if _, err := f.js.Publish(t.Context(), subject, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	requested := f.request(t, events.PipelineRequested{RunID: "old"})
	f.finish(t, "old", events.Finetune, events.Success, events.Artifact{Name: events.ArtifactModel, Reference: reference("model")})
	f.finish(t, "old", events.Inference, events.Failure)
	publishInvalid("finetune.started.old.7")
	f.request(t, events.PipelineRequested{RunID: "again", RerunOf: "old", From: events.Inference})
	if m := f.accepted(t, "again").Accepted.Inputs.Model; m == nil || m.Key != reference("model").Key {
		t.Errorf("it starts from %+v", m)
	}
	d := delivery.Delivery{Message: codec.Message{Event: events.PipelineRequested{RunID: "old"}, Subject: events.TypePipelineRequested, Sequence: requested}}
	if err := f.handle(t, "intake/requests", d); err != nil {
		t.Error(err)
	}
	if _, err := history.New(f.bus).Latest(t.Context(), events.PipelineRejected{RequestSequence: requested}.Subject()); !errors.Is(err, history.ErrNotFound) {
		t.Errorf("the redelivered request of the run was rejected: %v", err)
	}

	f.request(t, events.PipelineRequested{RunID: "half"})
	f.accepted(t, "half")
	publishInvalid("finetune.completed.half")
	f.publish(t, events.PhaseRequested{RunID: "half", Phase: events.Inference, Queue: "builtin"})
	faults := f.faults(t, f.request(t, events.PipelineRequested{RerunOf: "half", From: events.Inference}))
	if faults["inputs.model"].Message == "" || !strings.Contains(faults["rerun_of"].Message, "fact finetune.completed.half at sequence ") {
		t.Errorf("faults: %+v", faults)
	}
}

// TestRerunOfRunBeforeNewKeys: keys that the specification did not have when the
// old run was accepted have their defaults.
func TestRerunOfRunBeforeNewKeys(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	id := "before-the-keys"
	var sections map[string]map[string]any
	body, err := json.Marshal(resolved(t))
	if err == nil {
		err = json.Unmarshal(body, &sections)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"fine_tuner.timeout", "fine_tuner.save_total_limit", "inferencer.timeout", "inferencer.min_p", "evaluator.timeout", "evaluator.metrics", "pipeline.backoff", "pipeline.max_crashes", "pipeline.max_tries"} {
		section, name, _ := strings.Cut(key, ".")
		if _, ok := sections[section][name]; !ok {
			t.Fatalf("%s is no key", key)
		}
		delete(sections[section], name)
	}
	subject := events.PipelineAccepted{RunID: id}.Subject()
	event, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": subject + "/99", "source": "tunebus/old", "type": events.TypePipelineAccepted, "datacontenttype": "application/json",
		"data": map[string]any{"run_id": id, "run_name": id, "requested_at": time.Now(), "specification": sections,
			"plan": []events.Step{{Phase: events.Finetune, Queue: "builtin"}}, "lineage": map[string]any{"request_sequence": 99}},
	})
	if err == nil {
		_, err = f.js.Publish(t.Context(), subject, event)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.request(t, events.PipelineRequested{RunID: "again", RerunOf: id, From: events.Finetune, Specification: json.RawMessage(`{}`)})
	f.accepted(t, "again")
	if got := f.accepted(t, "again").Accepted.Specification; len(spec.Changed(got, resolved(t))) > 0 {
		t.Errorf("the new run differs in %v", spec.Changed(got, resolved(t)))
	}
}

// resolved returns the specification that the requests of these tests lead to.
func resolved(t *testing.T) events.Specification {
	t.Helper()
	s, faults := spec.FromJSON(specification(t, nil))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func same(a, b *events.Reference) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
