package llm_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
)

// BenchmarkAnswers answers rows: those of the quickstart with its base model, and rows of
// a model of random weights of 135 million, which begin alike, and whose answers have
// lengths from a geometric distribution. BENCH_135M=1 includes the latter.
func BenchmarkAnswers(b *testing.B) {
	const base = "../configs/quickstart/base-model"
	quick, err := llm.Open(base)
	if err != nil {
		b.Fatal(err)
	}
	tok, err := token.Open(base)
	if err != nil {
		b.Fatal(err)
	}
	rows := questions(b, tok, "../configs/quickstart/test.jsonl")
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("quickstart/%d", batch), func(b *testing.B) {
			answers(b, quick, rows, llm.GenerateConfig{MaxNewTokens: 64, EOS: tok.EOS(), BatchSize: batch})
		})
	}
	if os.Getenv("BENCH_135M") == "" {
		return
	}
	large, err := llm.New(llm.Config{
		ModelType: llm.TypeLlama, VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, Layers: 30, Heads: 9, KVHeads: 3, TieWordEmbeddings: true,
	}, 1)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := large.Save(dir, "bfloat16"); err != nil { // as checkpoints are stored
		b.Fatal(err)
	}
	if large, err = llm.Open(dir); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	text := func(n int) (ids []int32) {
		for range n {
			ids = append(ids, int32(rng.IntN(49152)))
		}
		return ids
	}
	common, ends := text(48), text(49152/24)
	var long [][]int32
	for range 48 {
		long = append(long, append(slices.Clone(common), text(8+rng.IntN(64))...))
	}
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("135M/%d", batch), func(b *testing.B) {
			rows := long
			if batch == 1 {
				rows = long[:8]
			}
			answers(b, large, rows, llm.GenerateConfig{MaxNewTokens: 96, EOS: ends, BatchSize: batch, Temperature: 1, Seed: 3})
		})
	}
}

// questions are the prompts of a file.
func questions(b *testing.B, tok *token.Tokenizer, path string) (out [][]int32) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var row struct{ Question string }
		if err := d.Decode(&row); err != nil {
			b.Fatal(err)
		}
		text, err := tok.Render([]token.Message{{Role: "user", Content: row.Question}}, true)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, tok.Encode(text))
	}
	return out
}

// answers measures rows and tokens per second, of the wall clock and of a processor.
func answers(b *testing.B, m *llm.Model, rows [][]int32, cfg llm.GenerateConfig) {
	b.Helper()
	one := cfg
	one.MaxNewTokens = 1
	generate(b, m, rows[:1], one) // packs the weights
	b.ResetTimer()
	began, _ := used(b)
	n, tokens := 0, 0
	for b.Loop() {
		for _, ids := range generate(b, m, rows, cfg) {
			n, tokens = n+1, tokens+len(ids)
		}
	}
	ended, _ := used(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(tokens)/(ended-began), "tokens/cpu-s")
}
