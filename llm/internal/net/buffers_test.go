package net

import (
	"runtime"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/dropout"
)

// TestBytes: what is counted before a training is what its buffers take behind its largest
// batches, and a training that has room for those makes no buffer a second time.
func TestBytes(t *testing.T) {
	long := func(vocab, tokens int) Row {
		r := Row{IDs: make([]int32, tokens), Count: slices.Repeat([]bool{true}, tokens)}
		for i := range r.IDs {
			r.IDs[i] = int32(i % vocab)
		}
		return r
	}
	for name, o := range variants() {
		n := o.build(shape())
		tr, v := o.trainer(n, 2), n.Shape.Vocab
		batches := [][]Row{{long(v, 150)}, {long(v, 200), long(v, 100)}, ragged(v)}
		training, validation := Size{Tokens: 300, Longest: 200, Counted: 298}, Size{Tokens: 400, Longest: 400, Counted: 399}
		said := o.trainer(n, 2).Bytes(training, validation)
		var before, behind runtime.MemStats
		runtime.ReadMemStats(&before)
		tr.Reserve(training, validation)
		for _, rows := range batches {
			if _, _, err := tr.Gradients(rows, dropout.Draw{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := tr.Loss([]Row{long(v, 400)}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&behind)
		if took := int64(behind.TotalAlloc - before.TotalAlloc); took < said*9/10 || took > said*11/10 {
			t.Errorf("%s: %d bytes, and %d were counted", name, took, said)
		}
	}
}
