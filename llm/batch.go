package llm

import (
	"github.com/tunebus/tunebus/llm/generation"
)

// NewBatch makes a batch that answers with a model. A model is for one batch at a time,
// which does not see weights that change later.
func NewBatch(m *Model, cfg generation.Config) *generation.Batch {
	return generation.New(m.decoder(), m.cfg.VocabSize, cfg)
}
