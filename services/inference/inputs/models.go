package inputs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/engine"
)

// FetchModels fetches the base model and the result of fine-tuning.
func FetchModels(ctx context.Context, job *engine.Job) (Models, error) {
	s := job.Request.Specification
	tuned := ""
	if ref := job.Request.Inputs.Model; ref != nil {
		var err error
		if tuned, err = job.FetchDir(ctx, *ref, "tuned"); err != nil {
			return Models{}, fmt.Errorf("fetch the tuned model: %w", err)
		}
		if !IsAdapter(tuned) && !s.Inferencer.Baseline {
			return Models{Base: tuned}, nil // a whole model needs no base model
		}
	}
	key, id := "fine_tuner.base_model_id", s.FineTuner.BaseModelID
	if s.Inferencer.ModelID != "" {
		key, id = "inferencer.model_id", s.Inferencer.ModelID
	}
	base, adapter, err := engine.FetchModel(ctx, job, key, id)
	return Models{Base: base, BaseAdapter: adapter, Tuned: tuned}, err
}

// Models are the folders of the models of a job.
type Models struct {
	Base string
	// BaseAdapter is the adapter that belongs to the base model, where the key
	// names an adapter; it takes no part where there is a tuned model.
	BaseAdapter string
	// Tuned is the result of fine-tuning: an adapter or a whole model. It is
	// empty if the run has no fine-tuning.
	Tuned string
}

// Answering is the folder that answers in the place of the base model: the tuned
// model, or the adapter that the run begins with.
func (m Models) Answering() string {
	if m.Tuned != "" {
		return m.Tuned
	}
	return m.BaseAdapter
}

// IsAdapter reports whether a folder holds an adapter and no whole model.
func IsAdapter(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "adapter_config.json"))
	return err == nil
}

// Places are the folders of a model that answers.
type Places struct {
	// Base is that of the base model. Tuned is that of an adapter, or of a whole model
	// that takes its place; it may be empty.
	Base, Tuned string
}

// Weights is the folder of the whole model.
func (p Places) Weights() string {
	if p.Tuned != "" && !IsAdapter(p.Tuned) {
		return p.Tuned
	}
	return p.Base
}

// Adapter is the folder of the adapter on top of it; empty: there is none.
func (p Places) Adapter() string {
	if p.Tuned != "" && IsAdapter(p.Tuned) {
		return p.Tuned
	}
	return ""
}

// Tokens is the folder of the tokenizer: that of the tuned model if it has one.
func (p Places) Tokens() string {
	if _, err := os.Stat(filepath.Join(p.Tuned, "tokenizer.json")); p.Tuned != "" && err == nil {
		return p.Tuned
	}
	return p.Base
}
