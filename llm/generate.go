package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/tunebus/tunebus/llm/internal/net"
)

// TokenError says that training or generation met a token that the model does not have.
// Whoever tries again meets it again.
type TokenError = net.TokenError

// ErrNoNumbers says that what a model computes is no number, as with weights that are
// damaged, or that no training made. Every other try would meet it too.
var ErrNoNumbers = errors.New("generate: what the model computes is no number: its weights are damaged, or its training went astray")

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
	// were answered before an interruption. The others keep their places in
	// the batches, so that their answers are what they would have been.
	Skip func(index int) bool
	// OnToken, when set, gets each token of an answer as soon as it is chosen.
	// An error ends the generation.
	OnToken func(index int, id int32) error
}

// Generate answers the prompts and calls emit for each, in the order of the
// batches. It stops soon after ctx ends, or when emit fails.
func (m *Model) Generate(ctx context.Context, prompts [][]int32, cfg GenerateConfig, emit func(index int, ids []int32) error) error {
	if cfg.BatchSize < 1 {
		cfg.BatchSize = 16
	}
	order := make([]int, 0, len(prompts))
	for i := range prompts {
		if len(prompts[i]) == 0 {
			return fmt.Errorf("generate: prompt %d is empty", i)
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(prompts[a]), len(prompts[b])) })
	for rows := range slices.Chunk(order, cfg.BatchSize) {
		skip := make([]bool, len(rows))
		for i, at := range rows {
			skip[i] = cfg.Skip != nil && cfg.Skip(at)
		}
		if !slices.Contains(skip, false) {
			continue
		}
		answers, err := m.batch(ctx, prompts, rows, skip, cfg)
		if err != nil {
			return err
		}
		for i, at := range rows {
			if skip[i] {
				continue
			}
			if err := emit(at, answers[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// batch answers a batch, but for the rows to skip. What a row is answered does
// not depend on the others.
func (m *Model) batch(ctx context.Context, prompts [][]int32, rows []int, skip []bool, cfg GenerateConfig) ([][]int32, error) {
	answers := make([][]int32, len(rows))
	rngs := make([]*rand.Rand, len(rows))
	var next []net.Token
	for i, at := range rows {
		if skip[i] {
			continue
		}
		rngs[i] = rand.New(rand.NewPCG(uint64(cfg.Seed), uint64(cfg.First+at)))
		for j, id := range prompts[at] {
			next = append(next, net.Token{ID: id, Sequence: i, Position: j, Last: j == len(prompts[at])-1})
		}
	}
	d := m.decoder()
	d.Begin(len(rows))
	for range cfg.MaxNewTokens {
		read := next
		next = nil
		if len(read) == 0 {
			break
		}
		for part := range slices.Chunk(read, net.Together) { // a long prompt can be stopped, too
			if ctx.Err() != nil {
				return nil, fmt.Errorf("generate: %w", context.Cause(ctx))
			}
			if err := d.Read(part); err != nil {
				return nil, fmt.Errorf("generate: %w", err)
			}
		}
		for _, t := range read {
			if !t.Last {
				continue
			}
			i := t.Sequence
			if checkFinite(d.Logits(i)) != nil {
				return nil, ErrNoNumbers
			}
			id := choose(d.Logits(i), cfg, rngs[i])
			if slices.Contains(cfg.EOS, id) {
				continue
			}
			answers[i] = append(answers[i], id)
			if cfg.OnToken != nil {
				if err := cfg.OnToken(rows[i], id); err != nil {
					return nil, err
				}
			}
			next = append(next, net.Token{ID: id, Sequence: i, Position: t.Position + 1, Last: true})
		}
	}
	return answers, nil
}

// choose takes a token from logits, in the order of transformers: the
// temperature first, then top_k, top_p and min_p.
func choose(logits []float32, cfg GenerateConfig, rng *rand.Rand) int32 {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	if cfg.Temperature <= 0 {
		return int32(best)
	}
	p := make([]float64, len(logits))
	sum := 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v-logits[best]) / cfg.Temperature)
		sum += p[i]
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return p[order[i]] > p[order[j]] })
	keep := len(order)
	if cfg.TopK > 0 {
		keep = min(keep, cfg.TopK)
		sum = 0
		for _, i := range order[:keep] {
			sum += p[i]
		}
	}
	if cfg.TopP > 0 && cfg.TopP < 1 {
		mass := 0.0
		for n, i := range order[:keep] {
			mass += p[i] / sum
			if mass >= cfg.TopP {
				keep = n + 1
				break
			}
		}
	}
	total := 0.0
	for n, i := range order[:keep] {
		if n > 0 && p[i] < cfg.MinP*p[order[0]] {
			keep = n
			break
		}
		total += p[i]
	}
	r := rng.Float64() * total
	for _, i := range order[:keep] {
		if r -= p[i]; r < 0 {
			return int32(i)
		}
	}
	return int32(order[0])
}
