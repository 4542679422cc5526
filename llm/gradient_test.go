package llm

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shapes are small models that differ in every part that a family may have.
func shapes() map[string]Config {
	return map[string]Config{
		"qwen2, grouped heads, tied": {
			ModelType: TypeQwen2, VocabSize: 23, HiddenSize: 12, IntermediateSize: 20, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 4,
			TieWordEmbeddings: true, RopeTheta: 1e6,
		},
		"llama, untied, wide heads": {
			ModelType: TypeLlama, VocabSize: 19, HiddenSize: 8, IntermediateSize: 12, Layers: 2, Heads: 2, HeadDim: 6,
		},
		"llama with biases": {
			ModelType: TypeLlama, VocabSize: 19, HiddenSize: 8, IntermediateSize: 12, Layers: 1, Heads: 2, KVHeads: 1,
			AttentionBias: true, TieWordEmbeddings: true,
		},
		"qwen3, head norms, linear scaling": {
			ModelType: TypeQwen3, VocabSize: 19, HiddenSize: 8, IntermediateSize: 12, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 6,
			RopeScaling: &RopeScaling{OldType: "linear", Factor: 4},
		},
		"llama3 scaling": {
			ModelType: TypeLlama, VocabSize: 19, HiddenSize: 16, IntermediateSize: 12, Layers: 1, Heads: 2, KVHeads: 1, RopeTheta: 100,
			RopeScaling: &RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 40},
		},
	}
}

// scattered is a model all of whose weights, biases and adapter matrices are
// away from their initial ones and zeros, so that each of them matters.
func scattered(t *testing.T, cfg Config, lora *LoRAConfig) *Model {
	t.Helper()
	cfg.InitializerRange = 0.3
	m, err := New(cfg, 3)
	if err != nil {
		t.Fatal(err)
	}
	if lora != nil {
		if err := m.AttachLoRA(*lora); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.all() {
		for i := range p.data {
			p.data[i] += float32(rng.NormFloat64() * 0.1)
		}
	}
	return m
}

// ragged are rows of different lengths in which different tokens count.
func ragged(cfg Config) []Example {
	rng := rand.New(rand.NewPCG(5, 6))
	var out []Example
	for _, n := range []int{5, 17, 2} {
		e := Example{IDs: make([]int32, n), Count: make([]bool, n)}
		for i := range n {
			e.IDs[i], e.Count[i] = int32(rng.IntN(cfg.VocabSize)), i >= n/3
		}
		out = append(out, e)
	}
	return out
}

// TestLossAndGradients compares the graph with the reference: the loss, and
// every weight's gradient with central differences of the reference's loss.
func TestLossAndGradients(t *testing.T) {
	t.Parallel()
	adapters := map[string]*LoRAConfig{
		"full":                      nil,
		"lora":                      {Rank: 3, Alpha: 6, Seed: 1},
		"rslora on two projections": {Rank: 2, Alpha: 5, RSLoRA: true, TargetModules: []string{"v_proj", "down_proj"}, Seed: 1},
	}
	for shape, cfg := range shapes() {
		for kind, lora := range adapters {
			t.Run(shape+"/"+kind, func(t *testing.T) {
				t.Parallel()
				checkGradients(t, scattered(t, cfg, lora))
			})
		}
	}
}

func checkGradients(t *testing.T, m *Model) {
	rows := ragged(m.cfg)
	tr := trainerOf(t, m, TrainConfig{})
	sum, count, err := tr.backward(rows)
	if err != nil {
		t.Fatal(err)
	}
	ref := newReference(m)
	want, n := ref.loss(rows)
	if count != n || math.Abs(sum-want) > 1e-5*want {
		t.Errorf("loss %.7f over %d tokens, the reference has %.7f over %d", sum, count, want, n)
	}
	rng := rand.New(rand.NewPCG(8, 9))
	for i, p := range tr.learn {
		if (m.lora != nil) != isLoRA(p.name) {
			t.Fatalf("%s learns", p.name)
		}
		norm := 0.0
		for _, g := range tr.grad[i] {
			norm = max(norm, math.Abs(float64(g)))
		}
		if norm == 0 && p.name != "model.embed_tokens.weight" {
			t.Errorf("%s has no gradient", p.name)
		}
		for range 4 {
			at := rng.IntN(len(p.data))
			w := ref.w[p.name]
			old, h := w[at], 1e-5
			w[at] = old + h
			above, _ := ref.loss(rows)
			w[at] = old - h
			below, _ := ref.loss(rows)
			w[at] = old
			want, got := (above-below)/(2*h), float64(tr.grad[i][at])
			if math.Abs(got-want) > 2e-4*max(norm, 0.1) {
				t.Errorf("%s[%d]: gradient %.6f, differences give %.6f", p.name, at, got, want)
			}
		}
	}
}

// TestCacheIsExact compares batched generation with a cache with the
// reference, which has neither.
func TestCacheIsExact(t *testing.T) {
	t.Parallel()
	for shape, cfg := range shapes() {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			m := scattered(t, cfg, &LoRAConfig{Rank: 2, Alpha: 4})
			prompts := [][]int32{{1}, {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 1, 2, 3}, {5, 6, 7}, {9, 9}, {18, 4, 4, 1, 2}}
			ref := newReference(m)
			const n = 20
			for _, batch := range []int{1, 2, 16} {
				seen := 0
				err := m.Generate(t.Context(), prompts, GenerateConfig{MaxNewTokens: n, BatchSize: batch}, func(i int, ids []int32) error {
					seen++
					if want := ref.greedy(prompts[i], n); !slices.Equal(ids, want) {
						t.Errorf("batch of %d: prompt %d answered %v, the reference %v", batch, i, ids, want)
					}
					return nil
				})
				if err != nil || seen != len(prompts) {
					t.Fatalf("%d of %d answers: %v", seen, len(prompts), err)
				}
			}
		})
	}
}

// TestUpdateIsAdamW computes two steps by hand, with clipping and decay.
func TestUpdateIsAdamW(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	tr := trainerOf(t, m, TrainConfig{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.5, MaxGradNorm: 1})
	w := m.byName["model.layers.1.mlp.up_proj.weight"]
	at := slices.Index(tr.learn, w)
	const rate = 0.1
	want, m1, v1 := float64(w.data[3]), 0.0, 0.0
	for k := 1.0; k <= 2; k++ {
		tr.grad[at][3] = 8 // the only gradient; half of it is clipped to 1
		d := 1.0
		m1, v1 = 0.9*m1+0.1*d, 0.99*v1+0.01*d*d
		want -= rate * 0.5 * want
		want -= rate * (m1 / (1 - math.Pow(0.9, k))) / (math.Sqrt(v1/(1-math.Pow(0.99, k))) + 1e-8)
		norm, err := tr.update(rate, 0.5)
		if err != nil || norm != 4 {
			t.Errorf("norm %v, %v", norm, err)
		}
		tr.step++
		if math.Abs(float64(w.data[3])-want) > 1e-6 {
			t.Errorf("step %.0f: %.8f, want %.8f", k, w.data[3], want)
		}
	}
	tr.grad[at][0] = float32(math.Inf(1))
	before := w.data[0]
	if _, err := tr.update(rate, 1); !errors.Is(err, ErrDiverged) || w.data[0] != before {
		t.Errorf("an infinite gradient: %v, the weight became %v", err, w.data[0])
	}
}
