package inputs

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/engine"
)

// Base is the model that a training starts from.
type Base struct {
	// Weights is the folder of the model, Tokens that of its tokenizer.
	Weights, Tokens string
	// Adapter is the folder of an adapter on top of it; empty: there is none.
	Adapter string
	// Name is how an adapter that is trained names the model.
	Name string
}

// FetchBase fetches the model that the specification names.
func FetchBase(ctx context.Context, job *engine.Job) (Base, error) {
	s := job.Request.Specification.FineTuner
	b := Base{Name: s.BaseModelID}
	var err error
	if b.Weights, b.Adapter, err = engine.FetchModel(ctx, job, "fine_tuner.base_model_id", s.BaseModelID); err != nil {
		return b, err
	}
	b.Tokens = b.Weights
	if b.Adapter == "" {
		return b, nil
	}
	if b.Name, err = engine.AdapterBase(b.Adapter); err != nil {
		return b, err
	}
	if _, err := os.Stat(filepath.Join(b.Adapter, "tokenizer.json")); err == nil {
		b.Tokens = b.Adapter
	}
	return b, nil
}
