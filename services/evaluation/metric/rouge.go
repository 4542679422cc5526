package metric

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/services/evaluation/metric/internal/porter"
)

// rouge is the package rouge-score with its stemmer (Lin 2004); rouge_score is
// the key of the chosen type, as RAGAS has it. Of several references, the one with
// the best F-measure counts for each type, as with rouge-score's score_multi.
type rouge struct{ kind, mode string }

func newRouge(opts Options) (rouge, error) {
	kind, err := choose("rouge_score", "rouge_type", opts.RougeType, "rougeL", "rouge1", "rouge2")
	if err != nil {
		return rouge{}, err
	}
	mode, err := choose("rouge_score", "mode", opts.RougeMode, "fmeasure", "precision", "recall")
	return rouge{kind: kind, mode: mode}, err
}

func (rouge) Name() string     { return "rouge_score" }
func (rouge) Headline() string { return "rouge_score" }
func (rouge) Scale() float64   { return 1 }

func (r rouge) Score(row Row) Sample {
	answer, emptied, short := rougeTokens(row.Answer), true, false
	scores := make(map[string]float64, 4)
	best := map[string]float64{} // the F-measure of the best reference, by kind
	for _, reference := range row.Truths() {
		truth := rougeTokens(reference)
		for kind, match := range map[string]rougeMatch{
			"rouge1": newRougeMatch(answer, truth, 1),
			"rouge2": newRougeMatch(answer, truth, 2),
			"rougeL": {longestCommon(answer, truth), len(answer), len(truth)},
		} {
			f, seen := best[kind]
			if now := match.score("fmeasure"); !seen || now > f {
				best[kind], scores[kind] = now, match.score(r.mode)
			}
		}
		emptied = emptied && len(truth) == 0
		short = short || len(truth) == 1 && slices.Contains(answer, truth[0])
	}
	scores["rouge_score"] = scores[r.kind]
	return Sample{Scores: scores, Emptied: emptied, Short: short && scores["rouge2"] == 0}
}

// shortKey is the key of the score that counts pairs of words: the main one, if it does.
func (r rouge) shortKey() string {
	if r.kind == "rouge2" {
		return r.Headline()
	}
	return "rouge2"
}

func (rouge) tooShort() string { return "the ground truth has fewer than 2 words" }

// rougeMatch has the common count and the counts of both sides.
type rougeMatch struct{ both, answer, truth int }

func newRougeMatch(answer, truth []string, order int) rougeMatch {
	a, t := wordGrams(answer, order), wordGrams(truth, order)
	both := 0
	for g, n := range a {
		both += min(n, t[g])
	}
	return rougeMatch{both, len(answer) - order + 1, len(truth) - order + 1}
}

func (m rougeMatch) score(mode string) float64 {
	precision, recall := ratio(m.both, m.answer), ratio(m.both, m.truth)
	switch mode {
	case "precision":
		return precision
	case "recall":
		return recall
	}
	return fMeasure(precision, recall)
}

// rougeTokens are runs of a-z and 0-9 in lower case. All other characters
// separate them, so a text in another script has none. Words of more than three
// letters are stemmed.
func rougeTokens(text string) []string {
	tokens := strings.FieldsFunc(lower(text), func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < '0' || '9' < r)
	})
	for i, t := range tokens {
		if len(t) > 3 {
			tokens[i] = porter.Stem(t)
		}
	}
	return tokens
}

// wordGrams counts n-grams of words without blanks in them.
func wordGrams(words []string, order int) map[string]int {
	grams := make(map[string]int, max(len(words)-order+1, 0))
	for i := 0; i+order <= len(words); i++ {
		grams[strings.Join(words[i:i+order], " ")]++
	}
	return grams
}

// longestCommon is the length of the longest common subsequence, by Hyyrö's
// bit-parallel algorithm: it computes 64 cells of a row of the usual table at
// once and keeps one row, so that endless answers cost little.
func longestCommon(a, b []string) int {
	words := (len(a) + 63) / 64
	at := make(map[string][]uint64) // where each token of a is
	for i, token := range a {
		if at[token] == nil {
			at[token] = make([]uint64, words)
		}
		at[token][i/64] |= 1 << (i % 64)
	}
	row := make([]uint64, words) // a bit is 0 where the values of the table's row increase
	for i := range row {
		row[i] = ^uint64(0)
	}
	for _, token := range b {
		match := at[token]
		if match == nil {
			continue
		}
		var carry uint64
		for i, v := range row {
			u := v & match[i]
			var sum uint64
			sum, carry = bits.Add64(v, u, carry)
			row[i] = sum | (v - u)
		}
	}
	length := 0
	for i, v := range row {
		if used := len(a) - 64*i; used < 64 {
			v |= ^uint64(0) << used
		}
		length += bits.OnesCount64(^v)
	}
	return length
}
