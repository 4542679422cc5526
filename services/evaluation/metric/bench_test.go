package metric

import "testing"

// Each iteration scores 1,000 pairs, the reference's over and over.
func benchmark(b *testing.B, name string) {
	m := mustNew(b, name, Options{})
	pairs := readReference(b).Pairs
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		all := NewAggregate(Suite{m})
		for i := range 1000 {
			row := pairs[i%len(pairs)].row()
			row.KeyFact = row.GroundTruth
			all.Add([]Sample{m.Score(row)})
		}
	}
}

func BenchmarkBLEU1000(b *testing.B)      { benchmark(b, "bleu_score") }
func BenchmarkSacreBLEU1000(b *testing.B) { benchmark(b, "sacrebleu") }
func BenchmarkROUGE1000(b *testing.B)     { benchmark(b, "rouge_score") }
func BenchmarkChrF1000(b *testing.B)      { benchmark(b, "chrf") }
func BenchmarkTokenF1_1000(b *testing.B)  { benchmark(b, "token_f1") }
func BenchmarkKeyFact1000(b *testing.B)   { benchmark(b, "key_fact") }
