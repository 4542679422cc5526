package servedmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/llm/sampling"
	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
)

// Add has a request answered, by so many tokens at most. on gets each token, unless it is
// nil, and done the end; neither may block.
func (m *Model) Add(r completionapi.Request, prompt []int32, most int, on func(generation.Token) error, done func(generation.Answer, error)) (*generation.Row, error) {
	m.Start()
	p := generation.Prompt{
		IDs: prompt, MaxNewTokens: most, Sampling: m.sampling(r.Sampling), Stop: r.Stop, EOS: r.Sampling.StopIDs,
		Logprobs: r.Logprobs, TopLogprobs: r.TopLogprobs, OnToken: on, OnDone: done,
	}
	if !r.Sampling.IgnoreEOS {
		p.EOS = append(m.Tokenizer.EOS(), p.EOS...)
	}
	return m.batch.Add(p)
}

// sampling is how the tokens of an answer are chosen: as the request says, or else as
// the model's defaults say, or else as OpenAI's API does.
func (m *Model) sampling(s completionapi.Sampling) sampling.Config {
	d := m.Defaults
	out := sampling.Config{
		Temperature:       first(1, s.Temperature, d.Temperature),
		TopP:              first(1, s.TopP, d.TopP),
		TopK:              first(0, s.TopK, d.TopK),
		MinP:              first(0, s.MinP, d.MinP),
		RepetitionPenalty: first(1, s.RepetitionPenalty, d.RepetitionPenalty),
		Seed:              rand.Uint64(),
	}
	if s.Seed != nil {
		out.Seed = uint64(*s.Seed)
	}
	return out
}

// first is the first value that is there.
func first[T any](otherwise T, values ...*T) T {
	for _, v := range values {
		if v != nil {
			return *v
		}
	}
	return otherwise
}

// DefaultsOf reads the sampling that a model's generation_config.json recommends. It is
// none without the file. Other than in vLLM, do_sample = false means temperature 0, as it
// does for transformers, to which the file belongs.
func DefaultsOf(folder string) (completionapi.Sampling, error) {
	path := filepath.Join(folder, "generation_config.json")
	body, err := regularfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return completionapi.Sampling{}, nil
	}
	var c struct {
		Samples           *bool    `json:"do_sample"`
		Temperature       *float64 `json:"temperature"`
		TopP              *float64 `json:"top_p"`
		TopK              *int     `json:"top_k"`
		MinP              *float64 `json:"min_p"`
		RepetitionPenalty *float64 `json:"repetition_penalty"`
	}
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil {
		return completionapi.Sampling{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Samples != nil && !*c.Samples {
		c.Temperature = new(float64)
	}
	s := completionapi.Sampling{Temperature: c.Temperature, TopP: c.TopP, TopK: c.TopK, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
	if err := (&Model{Options: Options{Defaults: s}}).sampling(s).Check(); err != nil {
		return completionapi.Sampling{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
