package metric

import (
	"math"
	"strings"
)

const bleuOrder = 4

// sacreBLEUSignature is sacreBLEU's own signature of the metric sacrebleu's
// scores.
const sacreBLEUSignature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"

// bleuScore is RAGAS's bleu_score. RAGAS passes the sentences of the truth as
// alternatives and those of the answer as segments, and sacreBLEU then scores
// only the first segment. An answer whose first sentence has fewer than four
// tokens therefore gets 0, even if it equals the truth; sacrebleu is the sound
// figure.
type bleuScore struct{}

func (bleuScore) Name() string     { return "bleu_score" }
func (bleuScore) Headline() string { return "bleu_score" }
func (bleuScore) Scale() float64   { return 1 }

func (bleuScore) Score(row Row) Sample {
	const between = ". "
	first, _, _ := strings.Cut(row.Answer, between)
	answer := tokens13a(first)
	best, short := 0.0, false
	for _, reference := range row.Truths() {
		var sentences [][]string
		for sentence := range strings.SplitSeq(reference, between) {
			sentences = append(sentences, tokens13a(sentence))
		}
		counts := countBLEU(answer, sentences)
		best = max(best, counts.percent(false)/100)
		short = short || counts.matches() && len(sentences[0]) < bleuOrder // the truth itself would have 0
	}
	return Sample{Scores: map[string]float64{"bleu_score": best}, Short: short && len(answer) < bleuOrder}
}

func (bleuScore) shortKey() string { return "bleu_score" }

func (bleuScore) tooShort() string {
	return "the first sentences of both have fewer than 4 tokens"
}

// sacreBLEU is BLEU over the corpus, and over each whole answer as
// sacreBLEU's sentence_bleu, both in percent. Of several references each n-gram
// may match in any.
type sacreBLEU struct{}

func (sacreBLEU) Name() string     { return "sacrebleu" }
func (sacreBLEU) Headline() string { return "sacrebleu" }
func (sacreBLEU) Scale() float64   { return 100 }

func (sacreBLEU) Score(row Row) Sample {
	var truths [][]string
	for _, truth := range row.Truths() {
		truths = append(truths, tokens13a(truth))
	}
	counts := countBLEU(tokens13a(row.Answer), truths)
	return Sample{
		Scores: map[string]float64{"sentence_bleu": counts.percent(true)},
		Counts: counts[:],
	}
}

func (sacreBLEU) Corpus(counts []float64) map[string]float64 {
	var all bleuCounts
	copy(all[:], counts)
	return map[string]float64{"sacrebleu": all.percent(false)}
}

// corpusNote says why the score of all rows together is 0 although answers have tokens of
// their truths; empty if it is not.
func (sacreBLEU) corpusNote(counts []float64) string {
	var all bleuCounts
	copy(all[:], counts)
	if longest := all[2+2*bleuOrder-1]; longest > 0 || !all.matches() {
		return ""
	}
	return "it is 0 for all rows together, since no answer has 4 tokens, as the reference implementation has it"
}

// bleuCounts are the counts of which BLEU is computed: the lengths of answer and
// truth, then by order the n-grams that match, then by order those of the answer.
type bleuCounts [2 + 2*bleuOrder]float64

// gram is an n-gram of up to four tokens. Tokens are numbered from 1, so n-grams
// of different order differ.
type gram [bleuOrder]uint32

// countBLEU counts the answer's n-grams, each at most as often as it is in any
// one of the truths. The length of the truth is the closest to the answer's,
// the shorter of two that are equally close.
func countBLEU(answer []string, truths [][]string) bleuCounts {
	numbers := make(map[string]uint32)
	allowed := make(map[gram]int)
	for i, truth := range truths {
		grams := countGrams(numbers, truth)
		if i == 0 {
			allowed = grams
			continue
		}
		for g, n := range grams {
			allowed[g] = max(allowed[g], n)
		}
	}

	var counts bleuCounts
	counts[0], counts[1] = float64(len(answer)), float64(closest(len(answer), truths))
	for g, n := range countGrams(numbers, answer) {
		counts[2+g.order()-1] += float64(min(n, allowed[g]))
	}
	for n := range bleuOrder {
		counts[2+bleuOrder+n] = float64(max(len(answer)-n, 0))
	}
	return counts
}

func countGrams(numbers map[string]uint32, tokens []string) map[gram]int {
	ids := make([]uint32, len(tokens))
	for i, t := range tokens {
		id, ok := numbers[t]
		if !ok {
			id = uint32(len(numbers) + 1)
			numbers[t] = id
		}
		ids[i] = id
	}
	grams := make(map[gram]int, bleuOrder*len(ids))
	for i := range ids {
		var g gram
		for n := 0; n < bleuOrder && i+n < len(ids); n++ {
			g[n] = ids[i+n]
			grams[g]++
		}
	}
	return grams
}

func (g gram) order() int {
	n := bleuOrder
	for g[n-1] == 0 {
		n--
	}
	return n
}

func closest(length int, truths [][]string) int {
	best, distance := 0, math.MaxInt
	for _, truth := range truths {
		d := max(len(truth)-length, length-len(truth))
		if d < distance || d == distance && len(truth) < best {
			best, distance = len(truth), d
		}
	}
	return best
}

// matches reports whether the answer has a token of the truth.
func (c bleuCounts) matches() bool { return c[2] > 0 }

// percent is BLEU with exponential smoothing (Chen and Cherry 2014, method 3).
// With effective, orders for which the answer is too short do not count; without,
// they make the score 0. A perfect score differs from 100 in its last bits.
func (c bleuCounts) percent(effective bool) float64 {
	answer, truth := c[0], c[1]
	matched, total := c[2:2+bleuOrder], c[2+bleuOrder:]
	if !c.matches() { // then no longer one matches either
		return 0
	}
	orders, logs, smooth := bleuOrder, 0.0, 1.0
	for n := range bleuOrder {
		if total[n] == 0 {
			if !effective {
				return 0
			}
			break
		}
		if effective {
			orders = n + 1
		}
		if matched[n] == 0 {
			smooth *= 2
			logs += math.Log(100 / (smooth * total[n]))
		} else {
			logs += math.Log(100 * matched[n] / total[n])
		}
	}
	brevity := 1.0
	if answer < truth {
		brevity = math.Exp(1 - truth/answer)
	}
	return brevity * math.Exp(logs/float64(orders))
}
