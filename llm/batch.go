package llm

import "github.com/tunebus/tunebus/llm/generation"

// NewBatch makes a batch that answers with a model. A model is for one batch at a time,
// which does not see weights that change later.
func NewBatch(m *Model, cfg generation.Config) *generation.Batch {
	return generation.New(m.decoder(), m.cfg.VocabSize, cfg)
}

// CacheBytes is how much memory a batch takes for the keys and values of so many tokens.
func CacheBytes(c Config, tokens int) int64 {
	const keysAndValues = 2
	return keysAndValues * float32Bytes * int64(c.Layers) * int64(c.KVHeads) * int64(c.HeadDim) * int64(tokens)
}
