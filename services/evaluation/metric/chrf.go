package metric

import "unicode/utf8"

const (
	chrFChars = 6
	chrFBeta  = 2
)

// chrF is the F-score of character n-grams (Popović 2015); with words it is chrF++
// (Popović 2017). It suits languages without blanks between words.
type chrF struct {
	name  string
	words int // the largest order of word n-grams, 0 for chrF
}

func (c chrF) Name() string     { return c.name }
func (c chrF) Headline() string { return c.name }
func (c chrF) Scale() float64   { return 1 }

func (c chrF) Score(row Row) Sample {
	best, emptied := -1.0, true
	var counts []float64 // of the best reference, the first of equal ones
	answer := c.grams(row.Answer)
	for _, reference := range row.Truths() {
		truth := c.grams(reference)
		these := make([]float64, 0, 3*len(answer))
		for n := range answer {
			these = append(these, overlap(answer[n], truth[n])...)
		}
		if score := chrFScore(these); score > best {
			best, counts = score, these
		}
		emptied = emptied && len(truth[0]) == 0
	}
	return Sample{Scores: map[string]float64{c.name: best}, Counts: counts, Emptied: emptied}
}

// grams are the n-grams of a text by order: those of characters, then those of
// words.
func (c chrF) grams(text string) []map[string]int {
	all := make([]map[string]int, 0, chrFChars+c.words)
	characters := newCharacters(text)
	for n := range chrFChars {
		all = append(all, characters.grams(n+1))
	}
	if c.words > 0 {
		words := chrFWords(text)
		for n := range c.words {
			all = append(all, wordGrams(words, n+1))
		}
	}
	return all
}

func (c chrF) Corpus(counts []float64) map[string]float64 {
	return map[string]float64{c.name + "_corpus": chrFScore(counts)}
}

// chrFScore computes the score from three counts per order: n-grams of the
// answer, of the truth, and of both. Only orders that both sides have count.
func chrFScore(counts []float64) float64 {
	var precision, recall, orders float64
	for i := 0; i+2 < len(counts); i += 3 {
		if answer, truth, both := counts[i], counts[i+1], counts[i+2]; answer > 0 && truth > 0 {
			precision += both / answer
			recall += both / truth
			orders++
		}
	}
	if precision+recall == 0 {
		return 0
	}
	precision /= orders
	recall /= orders
	const factor = chrFBeta * chrFBeta
	return (1 + factor) * precision * recall / (factor*precision + recall)
}

// characters is a text without blanks.
type characters struct {
	text   string
	starts []int // of every character, and the end
}

func newCharacters(text string) characters {
	b := make([]byte, 0, len(text))
	starts := make([]int, 0, len(text)+1)
	for _, r := range text {
		if !isSpace(r) {
			starts = append(starts, len(b))
			b = utf8.AppendRune(b, r)
		}
	}
	return characters{text: string(b), starts: append(starts, len(b))}
}

func (c characters) grams(order int) map[string]int {
	grams := make(map[string]int, max(len(c.starts)-order, 0))
	for i := 0; i+order < len(c.starts); i++ {
		grams[c.text[c.starts[i]:c.starts[i+order]]]++
	}
	return grams
}

// overlap counts n-grams: of the answer (0 where the truth has none), of the
// truth, and of both.
func overlap(answer, truth map[string]int) []float64 {
	var a, t, both int
	for g, n := range truth {
		t += n
		both += min(n, answer[g])
	}
	if t > 0 {
		for _, n := range answer {
			a += n
		}
	}
	return []float64{float64(a), float64(t), float64(both)}
}

// chrFWords splits at blanks and cuts one mark off each word of two characters
// or more: the last one, or if there is none at its end, the first.
func chrFWords(text string) []string {
	var words []string
	for _, w := range fields(text) {
		last := len(w) - 1
		switch {
		case utf8.RuneCountInString(w) == 1:
			words = append(words, w)
		case isPunct(w[last]):
			words = append(words, w[:last], w[last:])
		case isPunct(w[0]):
			words = append(words, w[:1], w[1:])
		default:
			words = append(words, w)
		}
	}
	return words
}
