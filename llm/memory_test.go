package llm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/weight"
)

// madeUp are shapes of models, by their number of weights.
func madeUp() map[string]Config {
	shape := func(vocab, hidden, intermediate, layers, heads, kv int) Config {
		return Config{ModelType: TypeLlama, VocabSize: vocab, HiddenSize: hidden, IntermediateSize: intermediate, Layers: layers, Heads: heads, KVHeads: kv, TieWordEmbeddings: true}
	}
	return map[string]Config{
		"1M":   shape(4096, 128, 384, 3, 4, 2),
		"10M":  shape(8192, 320, 896, 6, 5, 5),
		"135M": shape(49152, 576, 1536, 30, 9, 3),    // SmolLM2's
		"1.2B": shape(128256, 2048, 8192, 16, 32, 8), // Llama 3.2's
	}
}

// madeUpModel has matrices of random numbers that are made as they are kept, so that
// float32 of them never was in memory: "float32", "bfloat16", "int8" or "nf4". The
// embedding is bfloat16 where the projections have fewer bits.
func madeUpModel(tb testing.TB, size, kind string) *Model {
	tb.Helper()
	c := madeUp()[size]
	if kind == "float32" {
		m, err := New(c, 1)
		if err != nil {
			tb.Fatal(err)
		}
		return m
	}
	c, err := withUsual(c).complete()
	if err != nil {
		tb.Fatal(err)
	}
	m, rng := newModel(c), rand.New(rand.NewPCG(1, 2))
	for _, p := range m.params {
		projection := m.cfg.isProjection(strings.TrimSuffix(p.name, ".weight"))
		switch {
		case len(p.shape) == 1:
			p.data = slices.Repeat([]float32{1}, p.size())
		case projection && kind == "nf4":
			p.kept = randomNF4(rng, p.shape[0], p.shape[1])
		case projection && kind == "int8":
			p.kept = randomBytes(rng, p.shape[0], p.shape[1])
		default:
			s, row := weight.NewSixteen(p.shape[0], p.shape[1]), make([]uint16, p.shape[1])
			for o := range p.shape[0] {
				for i := range row { // between 0.0156 and 0.03, of both signs
					row[i] = 0x3c80 + uint16(rng.Uint32()&0x807f)
				}
				s.SetRow(o, row)
			}
			p.kept = s.BFloat16()
		}
	}
	return m
}

func randomNF4(rng *rand.Rand, out, in int) *kernel.Packed {
	blocks := (out*in + weight.NF4Block - 1) / weight.NF4Block
	nested := &weight.Nested{Codes: make([]byte, blocks), Table: new([256]float32), Factors: slices.Repeat([]float32{0.01}, (blocks+255)/256), Block: 256, Offset: 0.05}
	for i := range nested.Table {
		nested.Table[i] = float32(i-128) / 128
	}
	for i := range nested.Codes {
		nested.Codes[i] = byte(rng.Uint32())
	}
	n := weight.NewNibbles(out, in, weight.NF4Block, weight.NF4(), nested, weight.ToBFloat16)
	codes := make([]byte, 1<<12)
	for at := 0; at < out*in; at += 2 * len(codes) {
		codes = codes[:min(len(codes), (out*in-at)/2)]
		for i := range codes {
			codes[i] = byte(rng.Uint32())
		}
		n.Set(at, codes)
	}
	return kernel.PackPanels(n, out, in)
}

func randomBytes(rng *rand.Rand, out, in int) *kernel.Packed {
	b, row := weight.NewBytes(out, in, in, weight.ToFloat32), make([]int8, in)
	for o := range out {
		for i := range row {
			row[i] = int8(rng.Uint32())
		}
		b.SetRow(o, row)
	}
	b.SetFactors(slices.Repeat([]float32{0.0002}, out))
	return kernel.PackPanels(b, out, in)
}

// forget has the process count its largest memory anew.
func forget(b *testing.B) {
	b.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		b.Skipf("the peak of the memory is what Linux counts: %v", err)
	}
}

// peak is the largest memory of this process since forget, in MB (VmHWM).
func peak(b *testing.B) float64 {
	b.Helper()
	body, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(body) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kilobytes, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

// BenchmarkMemory reports the peak of the memory of steps of LoRA (rank 16, all
// projections) on made-up models whose frozen base is kept in different types, from the
// making of the model on.
func BenchmarkMemory(b *testing.B) {
	for _, s := range []struct {
		size, kind   string
		rows, tokens int
		steps        int
		recompute    bool
	}{
		{"1M", "float32", 8, 128, 2, false}, {"1M", "bfloat16", 8, 128, 2, false}, {"1M", "nf4", 8, 128, 2, false},
		{"10M", "float32", 8, 128, 2, false}, {"10M", "bfloat16", 8, 128, 2, false}, {"10M", "int8", 8, 128, 2, false}, {"10M", "nf4", 8, 128, 2, false},
		{"135M", "float32", 8, 128, 2, false}, {"135M", "bfloat16", 8, 128, 2, false}, {"135M", "int8", 8, 128, 2, false}, {"135M", "nf4", 8, 128, 2, false},
		{"1.2B", "nf4", 1, 256, 2, false}, {"1.2B", "nf4", 1, 512, 1, false}, {"1.2B", "nf4", 1, 1024, 1, true},
	} {
		b.Run(fmt.Sprintf("%s/%s/%dx%d", s.size, s.kind, s.rows, s.tokens), func(b *testing.B) {
			for b.Loop() {
				forget(b)
				m := madeUpModel(b, s.size, s.kind)
				if err := m.AttachLoRA(LoRAConfig{Rank: 16, Alpha: 16, Seed: 1}); err != nil {
					b.Fatal(err)
				}
				var rows InMemory
				for i := range s.rows {
					row := Example{IDs: make([]int32, s.tokens), Count: slices.Repeat([]bool{true}, s.tokens)}
					for j := range row.IDs {
						row.IDs[j] = int32(1 + (i*31+j*17)%1000)
					}
					rows = append(rows, row)
				}
				best := 0.0
				cfg := TrainConfig{Epochs: s.steps, BatchSize: s.rows, LearningRate: 1e-4, MaxGradNorm: 1, GradientCheckpointing: s.recompute}
				if _, err := m.Train(b.Context(), rows, nil, cfg, Hooks{OnStep: func(i StepInfo) { best = max(best, i.TokensPerSecond) }}, ""); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(peak(b), "MB")
				b.ReportMetric(best, "tokens/s")
				b.ReportMetric(float64(m.Parameters())/1e6, "M-weights")
			}
		})
	}
}

// BenchmarkKeptGeneration reports the best rate of a step of generation with 64 tokens
// behind it, and how fast the weights were read for it, beside the bandwidth of the
// memory: what all processors read at best of numbers of which nothing else is done than
// to take the largest. The best, since other programs may run meanwhile.
func BenchmarkKeptGeneration(b *testing.B) {
	for _, s := range []struct{ size, kind string }{{"1M", "bfloat16"}, {"10M", "bfloat16"}, {"135M", "bfloat16"}, {"135M", "int8"}, {"135M", "nf4"}} {
		m := madeUpModel(b, s.size, s.kind)
		read := 0
		for _, p := range m.params {
			if p.kept != nil {
				read += p.kept.Bytes()
			}
		}
		for _, batch := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%s/%d", s.size, s.kind, batch), func(b *testing.B) {
				best := time.Duration(1 << 62)
				prompts := slices.Repeat([][]int32{{1, 2, 3}}, batch)
				for b.Loop() {
					last := time.Now()
					err := m.Generate(b.Context(), prompts, GenerateConfig{MaxNewTokens: 64, BatchSize: batch, OnToken: func(index int, _ int32) error {
						if index == batch-1 { // of a step
							best, last = min(best, time.Since(last)), time.Now()
						}
						return nil
					}}, func(int, []int32) error { return nil })
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(batch)/best.Seconds(), "tokens/s")
				b.ReportMetric(float64(read)/best.Seconds()/1e9, "GB/s")
			})
		}
	}
	b.Run("bandwidth", func(b *testing.B) {
		c := crew.New(threads())
		x, best := kernel.Aligned(1<<26), time.Duration(1<<62)
		for i := range x {
			x[i] = float32(i)
		}
		const window = 1 << 22 // short, so that some are not interrupted
		for b.Loop() {
			for part := range slices.Chunk(x, window) {
				began := time.Now()
				c.Run(func(who int) {
					from, to := c.Share(len(part), 16, who)
					kernel.Max(part[from:to])
				})
				best = min(best, time.Since(began))
			}
		}
		b.ReportMetric(4*window/best.Seconds()/1e9, "GB/s")
	})
}

// BenchmarkOpen reports the peak of the memory of opening a checkpoint of 135 M weights in
// bfloat16 (269 MB), as it is stored and in fewer bits, and how much of it stays.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	if err := madeUpModel(b, "135M", "bfloat16").Save(dir, "bfloat16"); err != nil {
		b.Fatal(err)
	}
	for _, bits := range []int{0, 8, 4} {
		b.Run(fmt.Sprintf("%d", bits), func(b *testing.B) {
			for b.Loop() {
				forget(b)
				m, err := OpenQuantised(dir, bits)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(peak(b), "MB-at-most")
				forget(b)
				b.ReportMetric(peak(b), "MB")
				runtime.KeepAlive(m)
			}
		})
	}
}
