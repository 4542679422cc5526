package repeatcmd

import (
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestInputsThatARepetitionReads: only what the phases from the start on read is looked
// at. The base model is read below an adapter and as the baseline.
func TestInputsThatARepetitionReads(t *testing.T) {
	t.Parallel()
	var s events.Specification
	s.Pipeline.EnableFinetuning = true
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "base", "train", "test"
	full := s
	full.FineTuner.FullFinetuning = true
	baseline := full
	baseline.Inferencer.Baseline = true
	const base, train, test = "fine_tuner.base_model_id", "fine_tuner.training_data_id", "inferencer.testing_data_id"
	for _, c := range []struct {
		specification events.Specification
		start         events.Phase
		key           string
		want          bool
	}{
		{s, events.Finetune, train, true},
		{s, events.Inference, train, false},
		{s, events.Inference, test, true},
		{s, events.Evaluation, test, false},
		{s, events.Inference, base, true},
		{full, events.Inference, base, false},
		{full, events.Finetune, base, true},
		{baseline, events.Inference, base, true},
		{baseline, events.Evaluation, base, false},
	} {
		if got := reads(c.specification, c.start, c.key); got != c.want {
			t.Errorf("from %s on, %s: %t", c.start, c.key, got)
		}
	}
	old := events.Run{Accepted: &events.PipelineAccepted{Plan: []events.Step{{Phase: events.Finetune}, {Phase: events.Inference}, {Phase: events.Evaluation}}}}
	done := func(c events.Conclusion) *events.PhaseState {
		return &events.PhaseState{Completed: &events.PhaseCompleted{Conclusion: c}}
	}
	old.Phases = map[events.Phase]*events.PhaseState{events.Finetune: done(events.Success), events.Inference: done(events.Failure)}
	for _, c := range []struct {
		changes changes
		from    events.Phase
		want    events.Phase
	}{
		{nil, "", events.Inference},
		{nil, events.Evaluation, events.Evaluation},
		{changes{"fine_tuner": {"epochs": 2}}, "", events.Finetune},
		{changes{"evaluator": {"metrics": 2}}, "", events.Inference},
	} {
		if got := c.changes.start(old, c.from); got != c.want {
			t.Errorf("%v, from %q: begins at %s, want %s", c.changes, c.from, got, c.want)
		}
	}
}
