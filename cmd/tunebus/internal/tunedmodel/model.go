package tunedmodel

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Model is the model that a run tuned.
type Model struct {
	Run events.Run
	// Reference is what fine-tuning stored: an adapter or a whole model.
	Reference events.Reference
	Base      Base
}

// Base is the base model of a run.
type Base struct {
	// ID is the model as the specification names it.
	ID string
	// Upload is what the submitter uploaded for it; zero if nothing.
	Upload events.Reference
}

// HubID is the base model's id of the Hub, with its revision; empty if it did
// not come from there.
func (b Base) HubID() string {
	if b.Upload.IsZero() && spec.IsHubID(b.ID) {
		return b.ID
	}
	return ""
}

// Revision splits an id of the Hub into the name and the revision, which may
// be empty.
func Revision(id string) (name, revision string) {
	name, revision, _ = strings.Cut(id, "@")
	return name, revision
}

// UntunedError says that the fine-tuning of a run has not ended.
type UntunedError struct {
	Run    string
	Status events.Status
}

func (e *UntunedError) Error() string {
	return fmt.Sprintf("run %s has no tuned model yet: fine-tuning is %s", e.Run, e.Status)
}

// Of finds the model that a run tuned, or that it took from the run that it
// repeats. It is an error if there is none.
func Of(run events.Run) (Model, error) {
	m := Model{Run: run}
	if run.Accepted == nil {
		return m, fmt.Errorf("run %s: the fact that it was accepted cannot be read, so its model is not known", run.ID)
	}
	s := run.Accepted.Specification
	m.Base = Base{ID: s.FineTuner.BaseModelID, Upload: run.Accepted.Inputs.Files[baseKey]}
	if ref := run.Accepted.Inputs.Model; ref != nil {
		m.Reference = *ref
		return m, nil
	}
	p := run.Phases[events.Finetune]
	switch {
	case !s.Pipeline.EnableFinetuning || !planned(run, events.Finetune):
		return m, fmt.Errorf("run %s tuned no model: it had no fine-tuning", run.ID)
	case p == nil || p.Completed == nil:
		return m, &UntunedError{Run: run.ID, Status: p.Status()}
	case p.Completed.Conclusion != events.Success:
		return m, fmt.Errorf("run %s tuned no model: fine-tuning ended with %s", run.ID, p.Completed.Conclusion)
	}
	ref, ok := p.Completed.Artifact(events.ArtifactModel)
	if !ok {
		return m, fmt.Errorf("run %s tuned no model: its engine stored none", run.ID)
	}
	m.Reference = ref
	return m, nil
}

// BasedOn corrects the base model by the name that the tuned adapter has for it:
// where a run began with an adapter, that is the model below it.
func (m Model) BasedOn(name string) Model {
	ref, uploaded := m.Run.Accepted.Inputs.Files[baseKey+engine.BaseSuffix]
	switch {
	case uploaded:
		m.Base = Base{ID: name, Upload: ref}
	case name != m.Base.ID && spec.IsHubID(name):
		m.Base = Base{ID: name}
	}
	return m
}

// baseKey is the key of the specification that names the base model.
const baseKey = "fine_tuner.base_model_id"

func planned(run events.Run, p events.Phase) bool {
	for _, step := range run.Accepted.Plan {
		if step.Phase == p {
			return true
		}
	}
	return false
}
