package metric

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// keyFact is 1 if the answer contains the row's key fact. A row without a key fact
// has no score.
type keyFact struct{}

func (keyFact) Name() string     { return "key_fact" }
func (keyFact) Headline() string { return "key_fact_accuracy" }
func (keyFact) Scale() float64   { return 1 }
func (keyFact) needsNoTruth()    {}

func (keyFact) Score(row Row) Sample {
	fact := factTokens(row.KeyFact)
	if len(fact) == 0 {
		reason := "the row has no key fact"
		if row.KeyFact != "" {
			reason = "the row's key fact has neither letters nor digits"
		}
		return Sample{Missing: reason}
	}
	score := 0.0
	answer := factTokens(row.Answer)
	for i := 0; i+len(fact) <= len(answer); i++ {
		if slices.Equal(answer[i:i+len(fact)], fact) {
			score = 1
			break
		}
	}
	return Sample{Scores: map[string]float64{"key_fact_accuracy": score}}
}

// factTokens splits a text so that two spellings of a fact are equal and two
// facts are not: compatibility forms and case are folded and punctuation is
// dropped, but numbers keep their sign and their fraction, and marks that carry
// meaning (%, $, °, the + of C++) are tokens. "12" is therefore not in "3.12",
// "112" or "-12", while "1,000" is "1000". Scripts that write no blanks between
// words are split into characters.
func factTokens(text string) []string {
	var tokens []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			tokens = append(tokens, word.String())
			word.Reset()
		}
	}
	runes := []rune(strings.ToLower(norm.NFKC.String(text)))
	for i, r := range runes {
		before, after := around(runes, i)
		number := unicode.IsDigit(before) && unicode.IsDigit(after)
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			end()
			tokens = append(tokens, string(r))
		case r == ',' && number && thousands(runes[i+1:]), isApostrophe(r) && unicode.IsLetter(before) && unicode.IsLetter(after):
			// 1,000 is 1000, and O'Neil is one word however the mark is typed.
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), r == '.' && number:
			word.WriteRune(r)
		case (r == '-' || r == '−') && unicode.IsDigit(after) && !isWord(before):
			end()
			word.WriteByte('-')
		case unicode.IsSymbol(r) && r != '`' && r != '^', r == '%', r == '#', r == '&':
			end()
			tokens = append(tokens, string(r))
		default:
			end()
		}
	}
	end()
	return tokens
}

func isApostrophe(r rune) bool { return r == '\'' || r == '’' || r == 'ʼ' }

// thousands reports whether a group of exactly three digits comes next, so that
// "1,2,3" stays a list.
func thousands(runes []rune) bool {
	digits := 0
	for digits < len(runes) && unicode.IsDigit(runes[digits]) {
		digits++
	}
	return digits == 3
}

// around returns the characters before and after i; 0 where there is none.
func around(runes []rune, i int) (before, after rune) {
	if i > 0 {
		before = runes[i-1]
	}
	if i+1 < len(runes) {
		after = runes[i+1]
	}
	return before, after
}
