package llm_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm"
)

func tiny() llm.Config {
	return llm.Config{
		ModelType: llm.TypeQwen2, VocabSize: 48, HiddenSize: 32, IntermediateSize: 48, Layers: 2, Heads: 4, KVHeads: 2,
		MaxPositions: 128, TieWordEmbeddings: true,
	}
}

// rows teach that 3, k, 4 is answered by (k*7)%40+5, twice, and 1.
func rows(n int) llm.InMemory {
	var out []llm.Example
	for i := range n {
		k := int32(i%8) + 5
		a := (k*7)%40 + 5
		ids := []int32{3, k, 4, a, a, 1}
		if i%2 == 1 {
			ids = append([]int32{3, 3}, ids...)
		}
		count := make([]bool, len(ids))
		for j := len(ids) - 3; j < len(ids); j++ {
			count[j] = true
		}
		out = append(out, llm.Example{IDs: ids, Count: count})
	}
	return out
}

func prompts(n int) [][]int32 {
	var out [][]int32
	for _, r := range rows(n) {
		out = append(out, r.IDs[:len(r.IDs)-3])
	}
	return out
}

func generate(t testing.TB, m *llm.Model, p [][]int32, cfg llm.GenerateConfig) [][]int32 {
	t.Helper()
	out := make([][]int32, len(p))
	if err := m.Generate(t.Context(), p, cfg, func(i int, ids []int32) error {
		out[i] = ids
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func config() llm.TrainConfig {
	return llm.TrainConfig{Epochs: 20, BatchSize: 4, GradAccumulation: 2, LearningRate: 1e-2, WarmupSteps: 5, MaxGradNorm: 1, Seed: 7}
}

func TestTrainSaveOpenGenerate(t *testing.T) {
	t.Parallel()
	m, err := llm.New(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var first float64
	res, err := m.Train(t.Context(), rows(32), rows(8), config(), llm.Hooks{OnStep: func(i llm.StepInfo) {
		if i.Step == 1 {
			first = i.Loss
		}
	}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(first-math.Log(48)) > 0.3 {
		t.Errorf("first loss %.3f, a model that knows nothing has %.3f", first, math.Log(48))
	}
	if res.FinalEvalLoss > 0.05 {
		t.Errorf("validation loss %.3f after training", res.FinalEvalLoss)
	}
	dir := t.TempDir()
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
	again, err := llm.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := llm.GenerateConfig{MaxNewTokens: 6, EOS: []int32{1}, BatchSize: 3}
	got := generate(t, again, prompts(8), cfg)
	for i, r := range rows(8) {
		if want := r.IDs[len(r.IDs)-3 : len(r.IDs)-1]; !slices.Equal(got[i], want) {
			t.Errorf("prompt %v: answered %v, want %v", prompts(8)[i], got[i], want)
		}
	}
	cfg.BatchSize = 1
	for i, one := range generate(t, again, prompts(8), cfg) {
		if !slices.Equal(one, got[i]) {
			t.Errorf("prompt %d: alone %v, in a batch %v", i, one, got[i])
		}
	}
}

func TestAdapterLearnsAndTravels(t *testing.T) {
	t.Parallel()
	m, err := llm.New(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir+"/base", "bfloat16"); err != nil {
		t.Fatal(err)
	}
	if m, err = llm.Open(dir + "/base"); err != nil {
		t.Fatal(err)
	}
	if err := m.AttachLoRA(llm.LoRAConfig{Rank: 16, Alpha: 32, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if m.TrainableParameters() >= m.Parameters()*2 {
		t.Errorf("adapter has %d weights", m.TrainableParameters())
	}
	cfg := config()
	cfg.Epochs = 5 // enough for other answers
	if _, err := m.Train(t.Context(), rows(32), nil, cfg, llm.Hooks{}, ""); err != nil {
		t.Fatal(err)
	}
	answer := llm.GenerateConfig{MaxNewTokens: 6, EOS: []int32{1}, BatchSize: 8}
	want := generate(t, m, prompts(8), answer)
	if err := m.SaveAdapter(dir+"/adapter", "base"); err != nil {
		t.Fatal(err)
	}
	again, err := llm.Open(dir + "/base")
	if err != nil {
		t.Fatal(err)
	}
	before := generate(t, again, prompts(8), answer)
	if err := again.LoadAdapter(dir + "/adapter"); err != nil {
		t.Fatal(err)
	}
	after := generate(t, again, prompts(8), answer)
	for i := range want {
		if !slices.Equal(after[i], want[i]) {
			t.Errorf("prompt %d: %v after loading, %v before saving", i, after[i], want[i])
		}
	}
	if slices.EqualFunc(before, after, slices.Equal[[]int32]) {
		t.Error("the adapter changes nothing")
	}
}

// TestResumeIsExact: from a regular checkpoint, and from the one that is
// offered when the training is stopped in between.
func TestResumeIsExact(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Epochs, cfg.SaveSteps = 4, 6
	train := func(dir, resume string, at, stop int64) []float64 {
		m, err := llm.New(tiny(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var losses []float64
		_, err = m.Train(ctx, rows(32), nil, cfg, llm.Hooks{
			OnStep: func(i llm.StepInfo) {
				losses = append(losses, i.Loss)
				if i.Step == stop {
					cancel()
				}
			},
			OnCheckpoint: func(_ context.Context, step int64, save func(string) error) error {
				if step != at {
					return nil
				}
				return save(dir)
			},
		}, resume)
		if stop == 0 && err != nil || stop > 0 && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return losses
	}
	whole := train("", "", 0, 0)
	for _, at := range []int64{6, 8} {
		dir := t.TempDir()
		train(dir, "", at, 8)
		rest := train("", dir, 0, 0)
		if !slices.Equal(whole[at:], rest) {
			t.Errorf("losses resumed at %d\n%v\nwant\n%v", at, rest, whole[at:])
		}
	}
}

// TestSkippedPromptsChangeNothing: the answers to the other prompts are what
// they would have been, whichever are skipped.
func TestSkippedPromptsChangeNothing(t *testing.T) {
	t.Parallel()
	m, err := llm.New(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := llm.GenerateConfig{MaxNewTokens: 8, Temperature: 1, Seed: 5, BatchSize: 4}
	want := generate(t, m, prompts(10), cfg)
	for _, skip := range []func(int) bool{
		func(i int) bool { return i < 4 }, func(i int) bool { return i%2 == 0 }, func(i int) bool { return i != 7 }, func(int) bool { return true },
	} {
		cfg.Skip = skip
		got := generate(t, m, prompts(10), cfg)
		for i, ids := range got {
			if skip(i) && ids != nil || !skip(i) && !slices.Equal(ids, want[i]) {
				t.Errorf("prompt %d, skipped %t: %v, want %v", i, skip(i), ids, want[i])
			}
		}
	}
}

// BenchmarkTrain trains a model of the quickstart's size.
func BenchmarkTrain(b *testing.B) {
	m, err := llm.New(llm.Config{
		ModelType: llm.TypeLlama, VocabSize: 1434, HiddenSize: 192, IntermediateSize: 448, Layers: 2, Heads: 4, KVHeads: 4, TieWordEmbeddings: true,
	}, 1)
	if err != nil {
		b.Fatal(err)
	}
	var examples []llm.Example
	for i := range 256 {
		e := llm.Example{IDs: make([]int32, 25), Count: make([]bool, 25)}
		for j := range e.IDs {
			e.IDs[j], e.Count[j] = int32((i*j)%1434), j > 15
		}
		examples = append(examples, e)
	}
	b.ResetTimer()
	tokens := int64(0)
	for b.Loop() {
		res, err := m.Train(b.Context(), llm.InMemory(examples), nil, llm.TrainConfig{Epochs: 1, BatchSize: 16, LearningRate: 1e-4}, llm.Hooks{}, "")
		if err != nil {
			b.Fatal(err)
		}
		tokens += res.Tokens
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}

func BenchmarkGenerate(b *testing.B) {
	m, err := llm.New(llm.Config{
		ModelType: llm.TypeQwen2, VocabSize: 2048, HiddenSize: 256, IntermediateSize: 640, Layers: 2, Heads: 4, KVHeads: 2, TieWordEmbeddings: true,
	}, 1)
	if err != nil {
		b.Fatal(err)
	}
	p := make([][]int32, 64)
	for i := range p {
		p[i] = make([]int32, 24)
		for j := range p[i] {
			p[i][j] = int32(i * j)
		}
	}
	tokens := 0
	for b.Loop() {
		if err := m.Generate(b.Context(), p, llm.GenerateConfig{MaxNewTokens: 24, BatchSize: 32}, func(_ int, ids []int32) error {
			tokens += len(ids)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}
