package spec

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// Plan returns the enabled phases in order, up to the phase to stop after, each with
// its queue and failure policy.
func Plan(s events.Specification) []events.Step {
	var plan []events.Step
	p := s.Pipeline
	if p.EnableFinetuning {
		plan = append(plan, events.Step{
			Phase:     events.Finetune,
			Queue:     cmp.Or(s.FineTuner.Queue, s.FineTuner.Engine),
			OnFailure: p.OnFinetuningFailure,
		})
	}
	if p.StopAfterFinetuning {
		return plan
	}
	if p.EnableInference {
		plan = append(plan, events.Step{
			Phase:     events.Inference,
			Queue:     cmp.Or(s.Inferencer.Queue, s.Inferencer.Engine),
			OnFailure: events.Stop,
		})
	}
	if p.StopAfterInference {
		return plan
	}
	if p.EnableEvaluation {
		plan = append(plan, events.Step{
			Phase:     events.Evaluation,
			Queue:     cmp.Or(s.Evaluator.Queue, s.Evaluator.Engine),
			OnFailure: events.Stop,
		})
	}
	return plan
}

// PlanWith returns the plan with other queues for some phases.
func PlanWith(s events.Specification, queues map[events.Phase]string) []events.Step {
	plan := Plan(s)
	for i, step := range plan {
		if q, ok := queues[step.Phase]; ok {
			plan[i].Queue = q
		}
	}
	return plan
}

// Path is a key whose value may be a path on the machine of the submitter.
type Path struct {
	Key   string
	Value string
	// Phase is the phase that reads it.
	Phase events.Phase
}

// IsData reports whether the key names a data set, and no model.
func (p Path) IsData() bool { return strings.HasSuffix(p.Key, "_data_id") }

// Place is the value without the configuration and the split that a data key may
// name behind it.
func (p Path) Place() string {
	if !p.IsData() {
		return p.Value
	}
	place, _ := source.Parse(p.Value)
	return place
}

// Paths returns the keys that may name files and are not empty. A model that only a
// server answers with is a name of that server, and no file.
func Paths(s events.Specification) []Path {
	all := []Path{
		{"fine_tuner.base_model_id", s.FineTuner.BaseModelID, events.Finetune},
		{"fine_tuner.training_data_id", s.FineTuner.TrainingDataID, events.Finetune},
		{"fine_tuner.validation_data_id", s.FineTuner.ValidationDataID, events.Finetune},
		{"inferencer.model_id", s.Inferencer.ModelID, events.Inference},
		{"inferencer.testing_data_id", s.Inferencer.TestingDataID, events.Inference},
	}
	if !s.Pipeline.EnableFinetuning && s.Inferencer.ModelID == "" {
		all[0].Phase = events.Inference
	}
	var out []Path
	for _, p := range all {
		if served := s.Inferencer.Engine == OpenAI && p.Phase == events.Inference && !p.IsData(); p.Value != "" && !served {
			out = append(out, p)
		}
	}
	return out
}

// SetPath gives a key that [Paths] returns another value.
func SetPath(s *events.Specification, key, value string) {
	field := map[string]*string{
		"fine_tuner.base_model_id":      &s.FineTuner.BaseModelID,
		"fine_tuner.training_data_id":   &s.FineTuner.TrainingDataID,
		"fine_tuner.validation_data_id": &s.FineTuner.ValidationDataID,
		"inferencer.model_id":           &s.Inferencer.ModelID,
		"inferencer.testing_data_id":    &s.Inferencer.TestingDataID,
	}[key]
	*field = value
}

var hubID = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[A-Za-z0-9][\w./-]*)?$`)

// IsHubID reports whether an id has the form owner/name or owner/name@revision of
// the Hugging Face Hub, and is not the name of a data file. If a file or folder of
// that name exists, it has priority over the Hub. Of a data key it is [Path.Place]
// that has this form.
func IsHubID(id string) bool {
	return hubID.MatchString(id) && !strings.Contains(id, "..") && !source.IsDataFile(id)
}
