package metric

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// exactMatch is 1 if answer and truth are equal after [normalise].
type exactMatch struct{}

func (exactMatch) Name() string     { return "exact_match" }
func (exactMatch) Headline() string { return "exact_match" }
func (exactMatch) Scale() float64   { return 1 }

func (exactMatch) Score(row Row) Sample {
	score, emptied := 0.0, true
	answer := normalise(row.Answer)
	for _, truth := range row.Truths() {
		words := normalise(truth)
		if slices.Equal(answer, words) {
			score = 1
		}
		emptied = emptied && len(words) == 0
	}
	return Sample{Scores: map[string]float64{"exact_match": score}, Emptied: emptied, Unearned: score > 0 && unearned(answer, row)}
}

// tokenF1 is the harmonic mean of precision and recall over the bags of words.
// Where one side has no words it follows SQuAD 2.0: 1 if neither has, else 0.
type tokenF1 struct{}

func (tokenF1) Name() string     { return "token_f1" }
func (tokenF1) Headline() string { return "token_f1" }
func (tokenF1) Scale() float64   { return 1 }

func (tokenF1) Score(row Row) Sample {
	score, emptied := 0.0, true
	answer := normalise(row.Answer)
	for _, truth := range row.Truths() {
		words := normalise(truth)
		score = max(score, bagF1(answer, words))
		emptied = emptied && len(words) == 0
	}
	return Sample{Scores: map[string]float64{"token_f1": score}, Emptied: emptied, Unearned: score > 0 && unearned(answer, row)}
}

// unearned reports whether an answer of these words, which has a score, has it only since
// nothing is left of it and of a truth. One that is the truth, but for case and
// punctuation, is right: "a" is "A".
func unearned(words []string, row Row) bool {
	if len(words) > 0 {
		return false
	}
	answer := fields(withoutPunct(row.Answer))
	return !slices.ContainsFunc(row.Truths(), func(truth string) bool {
		said := fields(withoutPunct(truth))
		if len(answer) == 0 && len(said) == 0 { // "" is not "!!!"
			return strings.TrimSpace(row.Answer) == strings.TrimSpace(truth)
		}
		return slices.Equal(answer, said)
	})
}

func bagF1(answer, truth []string) float64 {
	if len(answer) == 0 && len(truth) == 0 {
		return 1
	}
	bag := make(map[string]int, len(truth))
	for _, word := range truth {
		bag[word]++
	}
	common := 0
	for _, word := range answer {
		if bag[word] > 0 {
			bag[word]--
			common++
		}
	}
	return fMeasure(ratio(common, len(answer)), ratio(common, len(truth)))
}

// fMeasure is the harmonic mean; 0 if both are 0.
func fMeasure(precision, recall float64) float64 {
	if precision+recall == 0 {
		return 0
	}
	return 2 * precision * recall / (precision + recall)
}

// ratio is part/whole; 0 if whole is 0.
func ratio(part, whole int) float64 {
	return float64(part) / float64(max(whole, 1))
}

// normalise returns the words of a text by the rules of SQuAD: in lower case,
// without punctuation and articles. "!!!" and "???" are therefore equal.
func normalise(text string) []string {
	text = withoutPunct(text)
	var b strings.Builder
	b.Grow(len(text))
	for text != "" {
		// A word and the rest up to the next one. An article is a whole word:
		// the a of "año" is not one.
		end := strings.IndexFunc(text, func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(text)
		}
		switch word := text[:end]; word {
		case "a", "an", "the":
			b.WriteByte(' ')
		default:
			b.WriteString(word)
		}
		text = text[end:]
		start := strings.IndexFunc(text, isWord)
		if start < 0 {
			start = len(text)
		}
		b.WriteString(text[:start])
		text = text[start:]
	}
	return fields(b.String())
}

// withoutPunct returns a text in lower case and without punctuation.
func withoutPunct(text string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && isPunct(byte(r)) {
			return -1
		}
		return r
	}, lower(text))
}
