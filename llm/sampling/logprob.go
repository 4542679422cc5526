package sampling

import (
	"cmp"
	"math"
	"slices"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// Candidate is a token with the natural logarithm of its probability.
type Candidate struct {
	ID      int32
	Logprob float64
}

// Logprob is the log probability of a token and those of the likeliest ones.
type Logprob struct {
	Candidate
	// Top are the likeliest tokens, in this order, as many as were asked for.
	Top []Candidate
}

// LogprobOf computes the log probability of a token as the model sees it: of the logits
// before penalty, temperature and what else decides the choice, as vLLM and OpenAI do.
func LogprobOf(w *Scratch, logits []float32, id int32, top int) Logprob {
	w.exps = append(w.exps[:0], logits...)
	most := kernel.Max(logits)
	kernel.ExpSum(w.exps, 1, -most)
	sum := 0.0
	for _, e := range w.exps {
		sum += float64(e)
	}
	log := float64(most) + math.Log(sum)
	of := func(id int32) Candidate { return Candidate{id, float64(logits[id]) - log} }
	out := Logprob{Candidate: of(id)}
	if top = min(top, len(logits)); top <= 0 {
		return out
	}
	floor := w.floor(logits, top)
	for i, v := range logits {
		if v >= floor {
			out.Top = append(out.Top, of(int32(i)))
		}
	}
	slices.SortStableFunc(out.Top, func(a, b Candidate) int { return cmp.Compare(b.Logprob, a.Logprob) })
	out.Top = out.Top[:top]
	return out
}

// IsFinite reports whether all logits are numbers.
func IsFinite(logits []float32) bool {
	const exponent = 0x7f800000
	for _, v := range logits {
		if math.Float32bits(v)&exponent == exponent {
			return false
		}
	}
	return true
}

// floor is the k-th largest logit.
func (w *Scratch) floor(logits []float32, k int) float32 {
	heap := append(w.floors[:0], logits[:k]...)
	for at := k/2 - 1; at >= 0; at-- {
		sink(heap, at)
	}
	for _, v := range logits[k:] {
		if v > heap[0] {
			heap[0] = v
			sink(heap, 0)
		}
	}
	w.floors = heap
	return heap[0]
}

// sink brings a number of a heap, whose smallest is the first, to its place.
func sink(heap []float32, at int) {
	for {
		least := 2*at + 1
		if least >= len(heap) {
			return
		}
		if least+1 < len(heap) && heap[least+1] < heap[least] {
			least++
		}
		if heap[at] <= heap[least] {
			return
		}
		heap[at], heap[least] = heap[least], heap[at]
		at = least
	}
}
