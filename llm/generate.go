package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/sampling"
)

// TokenError says that training or generation met a token that the model does not have.
// Whoever tries again meets it again.
type TokenError = net.TokenError

// ErrNoNumbers says that what a model computes is no number, as with weights that are
// damaged, or that no training made. Every other try would meet it too.
var ErrNoNumbers = generation.ErrNoNumbers

// GenerateConfig says how tokens are chosen.
type GenerateConfig struct {
	MaxNewTokens int
	// Temperature 0 takes the likeliest token always.
	Temperature float64
	TopK        int     // 0: all
	TopP        float64 // 0 or 1: all
	MinP        float64 // share of the likeliest token's probability
	// Seed and the prompt's index decide the choice, so that it does not
	// depend on the batch.
	Seed int64
	// First is the index of the first prompt, where the prompts are a part of more.
	// It counts for the choice alone: all other indexes are those in the part.
	First int
	// EOS are tokens that end an answer; they are no part of it.
	EOS []int32
	// BatchSize is how many prompts are answered at once. Default 16.
	BatchSize int
	// Skip, when set, says which prompts need no answer, such as those that
	// were answered before an interruption.
	Skip func(index int) bool
	// OnToken, when set, gets each token of an answer as soon as it is chosen.
	// An error ends the generation.
	OnToken func(index int, id int32) error
}

// Generate answers the prompts and calls emit for each, in the order in which the
// answers are finished. It stops soon after ctx ends, or when emit fails.
func (m *Model) Generate(ctx context.Context, prompts [][]int32, cfg GenerateConfig, emit func(index int, ids []int32) error) error {
	answering, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	longest := 0
	for i, ids := range prompts {
		if len(ids) == 0 {
			return fmt.Errorf("generate: prompt %d is empty", i)
		}
		longest = max(longest, len(ids))
	}
	if cfg.BatchSize < 1 {
		cfg.BatchSize = 16
	}
	b := NewBatch(m, generation.Config{MaxSequences: cfg.BatchSize, CacheTokens: cfg.BatchSize * (longest + cfg.MaxNewTokens + generation.BlockTokens)})
	for i, ids := range prompts {
		if cfg.Skip != nil && cfg.Skip(i) {
			continue
		}
		p := generation.Prompt{IDs: ids, MaxNewTokens: cfg.MaxNewTokens, EOS: cfg.EOS, Sampling: cfg.sampling(i)}
		if cfg.OnToken != nil {
			p.OnToken = func(t generation.Token) error { return cfg.OnToken(i, t.ID) }
		}
		p.OnDone = func(a generation.Answer, err error) {
			if err == nil && failed == nil {
				err = emit(i, a.IDs)
			}
			if err != nil && answering.Err() == nil {
				failed = err
				stop()
			}
		}
		if _, err := b.Add(p); err != nil {
			if fault, ok := errors.AsType[*TokenError](err); ok {
				fault.Row = i
			}
			return err
		}
	}
	err := b.Drain(answering)
	return cmp.Or(failed, err)
}

// sampling is how the tokens of a prompt are chosen.
func (cfg GenerateConfig) sampling(prompt int) sampling.Config {
	return sampling.Config{
		Temperature: max(0, cfg.Temperature), TopK: cfg.TopK, TopP: cfg.TopP, MinP: cfg.MinP,
		Seed: uint64(cfg.Seed), Stream: uint64(cfg.First + prompt),
	}
}
