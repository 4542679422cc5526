package sampling

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// golden are the settings of testdata/warpers.py, and what transformers makes of them.
type golden struct {
	Logits     [][]float32
	LogSoftmax [][]float64 `json:"log_softmax"`
	Cases      []struct {
		Temperature       float64
		TopK              int     `json:"top_k"`
		TopP              float64 `json:"top_p"`
		MinP              float64 `json:"min_p"`
		RepetitionPenalty float64 `json:"repetition_penalty"`
		Logits            int
		Seen              []int32
		Shares            map[int32]float64
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	body, err := os.ReadFile("testdata/warpers.json")
	if err == nil {
		err = json.Unmarshal(body, &g)
	}
	if err != nil || len(g.Cases) < 200 {
		t.Fatalf("%d cases: %v", len(g.Cases), err)
	}
	return g
}

// TestSharesAreThoseOfTransformers: of every setting the same tokens may be chosen, each
// with the same probability.
func TestSharesAreThoseOfTransformers(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	var w Scratch
	for _, c := range g.Cases {
		cfg := Config{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
		logits := slices.Clone(g.Logits[c.Logits])
		s := New(cfg, len(logits))
		s.See(c.Seen...)
		s.penalise(logits)
		w.keep(cfg, logits)
		if len(w.kept) != len(c.Shares) {
			t.Errorf("%+v of logits %d: %d tokens may be chosen, transformers has %d", cfg, c.Logits, len(w.kept), len(c.Shares))
			continue
		}
		for _, k := range w.kept {
			want, ok := c.Shares[k.id]
			for id, share := range c.Shares { // where top_p leaves one of several that are alike, torch does not say which
				if !ok && logits[id] == logits[k.id] {
					want = share
				}
			}
			if math.Abs(k.share/w.whole-want) > 2e-6 {
				t.Errorf("%+v of logits %d: token %d has %.8f, in transformers %.8f", cfg, c.Logits, k.id, k.share/w.whole, want)
			}
		}
	}
}

// TestLogprobsAreThoseOfTorch, and say the likeliest tokens in order.
func TestLogprobsAreThoseOfTorch(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	var w Scratch
	for i, logits := range g.Logits {
		order := make([]int, len(logits))
		for j := range order {
			order[j] = j
		}
		want := g.LogSoftmax[i]
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(want[b], want[a]) })
		for id := range logits {
			got := LogprobOf(&w, logits, int32(id), id)
			if got.ID != int32(id) || math.Abs(got.Logprob-want[id]) > 2e-6 || len(got.Top) != id {
				t.Errorf("logits %d: %+v of token %d, torch has %v", i, got, id, want[id])
			}
			for n, c := range got.Top {
				if math.Abs(c.Logprob-want[order[n]]) > 2e-6 || n > 0 && c.Logprob == got.Top[n-1].Logprob && c.ID < got.Top[n-1].ID {
					t.Errorf("logits %d: token %d is %d. of %d with %v, torch has %v", i, c.ID, n, id, c.Logprob, want[order[n]])
				}
			}
		}
		if got := LogprobOf(&w, logits, 0, 1000); len(got.Top) != len(logits) {
			t.Errorf("%d of %d tokens", len(got.Top), len(logits))
		}
	}
}

// TestChooseTakesNoOtherLogits: what is chosen changes neither the logits nor what the
// next row is given by the same scratch.
func TestChooseTakesNoOtherLogits(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	var shared Scratch
	for _, c := range g.Cases {
		cfg := Config{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty, Seed: 3}
		logits := slices.Clone(g.Logits[c.Logits])
		one, other := New(cfg, len(logits)), New(cfg, len(logits))
		for range 5 {
			var alone Scratch
			a, b := one.Choose(&shared, logits), other.Choose(&alone, logits)
			if a != b || !slices.Equal(logits, g.Logits[c.Logits]) {
				t.Fatalf("%+v: %d and %d", cfg, a, b)
			}
			one.See(a)
			other.See(b)
		}
	}
}

// TestPenaltyHoldsForTheLikeliest: without a temperature, too.
func TestPenaltyHoldsForTheLikeliest(t *testing.T) {
	t.Parallel()
	s := New(Config{RepetitionPenalty: 2}, 3)
	var w Scratch
	logits := []float32{1, 3, -0.25}
	var got []int32
	for range 3 {
		id := s.Choose(&w, logits)
		got = append(got, id)
		s.See(id)
		logits = []float32{1, 1.5, -0.25}
	}
	if want := []int32{1, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
