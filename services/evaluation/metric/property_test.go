package metric

import (
	"math"
	"strings"
	"testing"
)

func allMetrics(tb testing.TB) Suite {
	tb.Helper()
	var suite Suite
	for _, name := range Names() {
		suite = append(suite, mustNew(tb, name, Options{}))
	}
	return suite
}

// FuzzScores holds for any bytes: scores lie within their scale, a row's answer
// that equals the truth is perfect, and a metric says the same twice.
func FuzzScores(f *testing.F) {
	for _, p := range readReference(f).Pairs {
		f.Add(p.Answer, p.Truth, "fact")
	}
	f.Add("\xff\xfe\x00", "\xe6\x97", "\xff")
	f.Add(strings.Repeat("a", 1000), strings.Repeat("a b ", 300), "a")
	f.Fuzz(func(t *testing.T, answer, truth, fact string) {
		suite := allMetrics(t)
		row := Row{Answer: answer, GroundTruth: truth, KeyFact: fact}
		samples := suite.Score(row)
		for i, m := range suite {
			for key, score := range samples[i].Scores {
				if math.IsNaN(score) || score < 0 || score > m.Scale()*(1+1e-12) {
					t.Errorf("%s is %v", key, score)
				}
				if again := m.Score(row).Scores[key]; math.Abs(again-score) > 1e-15 {
					t.Errorf("%s is %v, then %v", key, score, again)
				}
			}
		}
		for key, score := range resultOf(suite, row) {
			if math.IsNaN(score) {
				t.Errorf("%s of one row is %v", key, score)
			}
		}
		perfect(t, answer)
	})
}

// perfect checks an answer that equals the truth: 1, but where the metric sees
// nothing to compare, or, for BLEU's references, too little. It has a line for
// each key of each metric.
func perfect(t *testing.T, text string) {
	t.Helper()
	tokens, words := tokens13a(text), rougeTokens(text)
	first, _, _ := strings.Cut(text, ". ")
	visible := strings.TrimFunc(text, isSpace) != ""
	enough := map[string]bool{
		"bleu_score":        len(tokens13a(first)) >= bleuOrder,
		"sentence_bleu":     len(tokens) > 0,
		"sacrebleu":         len(tokens) >= bleuOrder,
		"rouge_score":       len(words) > 0,
		"rouge1":            len(words) > 0,
		"rouge2":            len(words) > 1,
		"rougeL":            len(words) > 0,
		"exact_match":       true,
		"token_f1":          true,
		"chrf":              visible,
		"chrf_corpus":       visible,
		"chrfpp":            visible,
		"chrfpp_corpus":     visible,
		"key_fact_accuracy": len(factTokens(text)) > 0,
	}
	result := resultOf(allMetrics(t), Row{Answer: text, GroundTruth: text, KeyFact: text})
	for key := range result {
		if _, known := enough[key]; !known {
			t.Errorf("perfect says nothing of the key %s", key)
		}
	}
	for key, enough := range enough {
		got, scored := result[key]
		want := 0.0
		if enough {
			want = 1
			if key == "sentence_bleu" || key == "sacrebleu" {
				want = 100
			}
		}
		if scored && math.Abs(got-want) > 1e-9 || enough && !scored {
			t.Errorf("%s of %q against itself is %v, want %v", key, text, got, want)
		}
	}
}

func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	t.Parallel()
	suite := allMetrics(t)
	forward, backward := NewAggregate(suite), NewAggregate(suite)
	pairs := readReference(t).Pairs
	for i := range pairs {
		forward.Add(suite.Score(pairs[i].row()))
		backward.Add(suite.Score(pairs[len(pairs)-1-i].row()))
	}
	other := backward.Result()
	for key, score := range forward.Result() {
		if math.Abs(other[key]-score) > 1e-12*(1+score) {
			t.Errorf("%s is %v forward and %v backward", key, score, other[key])
		}
	}
}

// An answer that goes on for ever must not stall an evaluation.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("the model repeats itself and never stops. ", 5000)
	for key, score := range resultOf(allMetrics(t), Row{Answer: long, GroundTruth: long, KeyFact: "stops"}) {
		if score < 0.99 {
			t.Errorf("%s of a long answer against itself is %v", key, score)
		}
	}
}
