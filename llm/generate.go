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

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

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
	g, err := m.newGenerator(cfg)
	if err != nil {
		return err
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
		answers, err := g.batch(ctx, prompts, rows, skip)
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

type generator struct {
	cfg    GenerateConfig
	model  *Model
	device *device
	exec   *graph.Exec
}

// cachedInputs is how many inputs of the cached graph come before the caches.
const cachedInputs = 5

// newGenerator makes the graph that both reads a prompt and adds a token.
// Inputs: ids [B,T], cos and sin [B,T,1,D], mask [B,1,T,S], at [1,S,1,1], the
// keys and values of each layer [B,S,KV,D], then all weights. Outputs: the
// logits of the last place [B,V], and the new keys and values.
func (m *Model) newGenerator(cfg GenerateConfig) (*generator, error) {
	d, err := m.open()
	if err != nil {
		return nil, err
	}
	exec, err := d.graph("generate", func(in []*graph.Node) []*graph.Node {
		layers := m.cfg.Layers
		w := weights{}
		for i, p := range m.all() {
			w[p.name] = in[cachedInputs+2*layers+i]
		}
		c := &cacheNodes{at: in[4], keys: slices.Clone(in[cachedInputs : cachedInputs+layers]), values: slices.Clone(in[cachedInputs+layers : cachedInputs+2*layers])}
		n := network{cfg: m.cfg, w: w, lora: m.lora, cos: in[1], sin: in[2], mask: in[3], cache: c}
		x := n.hidden(in[0])
		s := x.Shape().Dimensions
		last := graph.Reshape(graph.Slice(x, graph.AxisRange(), graph.AxisRange(s[1]-1), graph.AxisRange()), s[0], s[2])
		return append(append([]*graph.Node{n.logits(last)}, c.keys...), c.values...)
	})
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	return &generator{cfg: cfg, model: m, device: d, exec: exec}, nil
}

// batch answers a batch, but for the rows to skip, which only fill it up.
// Prompts are padded on the left, so that all rows add their tokens in the
// same place.
func (g *generator) batch(ctx context.Context, prompts [][]int32, rows []int, skip []bool) ([][]int32, error) {
	width := 0
	for _, r := range rows {
		width = max(width, len(prompts[r]))
	}
	width = ceil(width, 16) * 16
	size := ceil(width+g.cfg.MaxNewTokens, 16) * 16
	b := g.cfg.BatchSize
	pad := make([]int, b) // how many places on the left are empty
	ids := make([]int32, b*width)
	rngs := make([]*rand.Rand, len(rows))
	for i := range b {
		prompt := prompts[rows[min(i, len(rows)-1)]] // the batch is filled up with copies
		pad[i] = width - len(prompt)
		copy(ids[i*width+pad[i]:], prompt)
		if i < len(rows) {
			rngs[i] = rand.New(rand.NewPCG(uint64(g.cfg.Seed), uint64(g.cfg.First+rows[i])))
		}
	}
	caches := g.emptyCaches(b, size)
	var err error
	answers, open := make([][]int32, len(rows)), 0
	done := slices.Clone(skip)
	for _, is := range done {
		if !is {
			open++
		}
	}
	next, at := ids, 0
	for range g.cfg.MaxNewTokens {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("generate: %w", context.Cause(ctx))
		}
		var logits []float32
		if logits, caches, err = g.step(next, b, at, size, pad, caches); err != nil {
			return nil, err
		}
		at += len(next) / b
		next = make([]int32, b)
		for i := range rows {
			own := logits[i*g.model.cfg.VocabSize : (i+1)*g.model.cfg.VocabSize]
			id := choose(own, g.cfg, rngs[i])
			next[i] = id
			if done[i] {
				continue
			}
			if checkFinite(own) != nil {
				return nil, errors.Join(ErrNoNumbers, finalize(caches))
			}
			if slices.Contains(g.cfg.EOS, id) {
				done[i] = true
				open--
				continue
			}
			answers[i] = append(answers[i], id)
			if g.cfg.OnToken != nil {
				if err := g.cfg.OnToken(rows[i], id); err != nil {
					return nil, errors.Join(err, finalize(caches))
				}
			}
		}
		if open == 0 {
			break
		}
	}
	return answers, finalize(caches)
}

func (g *generator) emptyCaches(b, size int) []*tensors.Tensor {
	c := g.model.cfg
	zero := make([]float32, b*size*c.KVHeads*c.HeadDim)
	out := make([]*tensors.Tensor, 2*c.Layers)
	for i := range out {
		out[i] = tensors.FromFlatDataAndDimensions(zero, b, size, c.KVHeads, c.HeadDim)
	}
	return out
}

// step reads ids [b, T] at place at and returns the logits of the last one.
func (g *generator) step(ids []int32, b, at, size int, pad []int, caches []*tensors.Tensor) ([]float32, []*tensors.Tensor, error) {
	t := len(ids) / b
	positions := make([]int, b*t)
	mask := make([]float32, b*t*size)
	for i := range b {
		for j := range t {
			here := at + j
			positions[i*t+j] = max(here-pad[i], 0)
			row := mask[(i*t+j)*size : (i*t+j+1)*size]
			for k := range row {
				// An empty place looks at itself, so that no row of the
				// softmax is without anything.
				if k > here || k < pad[i] && k != here {
					row[k] = low
				}
			}
		}
	}
	cos, sin := rope(g.model.cfg, positions)
	dim := g.model.cfg.HeadDim
	place := make([]float32, size)
	place[at] = 1
	own := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(ids, b, t),
		tensors.FromFlatDataAndDimensions(cos, b, t, 1, dim), tensors.FromFlatDataAndDimensions(sin, b, t, 1, dim),
		tensors.FromFlatDataAndDimensions(mask, b, 1, t, size), tensors.FromFlatDataAndDimensions(place, 1, size, 1, 1),
	}
	var args []any
	for _, x := range own {
		args = append(args, x)
	}
	for _, c := range caches {
		args = append(args, c)
	}
	args, err := g.device.inputs(args, g.model.all())
	if err != nil {
		return nil, nil, err
	}
	out, err := g.exec.Call(args...)
	if err != nil {
		return nil, nil, fmt.Errorf("generate: %w", err)
	}
	logits, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, nil, fmt.Errorf("generate: %w", err)
	}
	return logits, out[1:], finalize(append(append(own, caches...), out[0]))
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
