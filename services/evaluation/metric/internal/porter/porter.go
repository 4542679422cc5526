// Package porter is Porter's stemmer with the extensions of NLTK, which the package
// rouge-score uses.
package porter

import "strings"

// rule replaces a suffix.
type rule struct{ suffix, by string }

// Stem is Porter's stemmer (Program 14.3, 1980) with the extensions of NLTK. They
// are NLTK's default, so published ROUGE scores use them; no Go stemmer has them.
// The word consists of a-z and 0-9 and has more than two letters.
func Stem(word string) string {
	if fixed, ok := fixedStem(word); ok {
		return fixed
	}
	for _, step := range [...]func(string) string{step1a, step1b, step1c, step2, step3, step4, step5a, step5b} {
		word = step(word)
	}
	return word
}

func fixedStem(word string) (string, bool) {
	switch word {
	case "sky", "skies":
		return "sky", true
	case "dying":
		return "die", true
	case "lying":
		return "lie", true
	case "tying":
		return "tie", true
	case "innings", "inning":
		return "inning", true
	case "outings", "outing":
		return "outing", true
	case "cannings", "canning":
		return "canning", true
	case "news", "howe", "proceed", "exceed", "succeed":
		return word, true
	}
	return "", false
}

// apply applies the first rule whose suffix the word has. If the stem is not ok,
// the word stays, and no other rule is tried.
func apply(word string, rules []rule, ok func(stem string) bool) string {
	for _, r := range rules {
		if stem, found := strings.CutSuffix(word, r.suffix); found {
			if ok(stem) {
				return stem + r.by
			}
			return word
		}
	}
	return word
}

func always(string) bool { return true }

// step1a takes plurals off.
func step1a(word string) string {
	if len(word) == 4 && strings.HasSuffix(word, "ies") {
		return word[:3]
	}
	return apply(word, []rule{{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}}, always)
}

// step1b removes -ed and -ing and repairs the stem.
func step1b(word string) string {
	if stem, ok := strings.CutSuffix(word, "ied"); ok {
		if len(word) == 4 {
			return stem + "ie"
		}
		return stem + "i"
	}
	if stem, ok := strings.CutSuffix(word, "eed"); ok {
		if measure(stem) > 0 {
			return stem + "ee"
		}
		return word
	}
	stem, ok := strings.CutSuffix(word, "ed")
	if !ok || !hasVowel(stem) {
		stem, ok = strings.CutSuffix(word, "ing")
	}
	if !ok || !hasVowel(stem) {
		return word
	}
	last := len(stem) - 1
	switch {
	case strings.HasSuffix(stem, "at"), strings.HasSuffix(stem, "bl"), strings.HasSuffix(stem, "iz"):
		return stem + "e"
	case last > 0 && stem[last] == stem[last-1] && isConsonant(stem, last):
		if strings.IndexByte("lsz", stem[last]) >= 0 {
			return stem
		}
		return stem[:last]
	case measure(stem) == 1 && endsShort(stem):
		return stem + "e"
	}
	return stem
}

// step1c turns the y after a consonant into i, but not in a word like "by".
func step1c(word string) string {
	stem, ok := strings.CutSuffix(word, "y")
	if ok && len(stem) > 1 && isConsonant(stem, len(stem)-1) {
		return stem + "i"
	}
	return word
}

func step2(word string) string {
	if stem, ok := strings.CutSuffix(word, "alli"); ok && measure(stem) > 0 {
		return step2(stem + "al")
	}
	// The l of -logi is measured as part of the stem, unlike in other rules. No
	// other suffix ends in -logi, so this rule may come first.
	if strings.HasSuffix(word, "logi") {
		if measure(word[:len(word)-3]) > 0 {
			return word[:len(word)-1]
		}
		return word
	}
	return apply(word, []rule{
		{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"},
		{"izer", "ize"}, {"bli", "ble"}, {"alli", "al"}, {"entli", "ent"}, {"eli", "e"},
		{"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"}, {"ator", "ate"},
		{"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"},
		{"aliti", "al"}, {"iviti", "ive"}, {"biliti", "ble"}, {"fulli", "ful"},
	}, func(stem string) bool { return measure(stem) > 0 })
}

func step3(word string) string {
	return apply(word, []rule{
		{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
	}, func(stem string) bool { return measure(stem) > 0 })
}

func step4(word string) string {
	if stem, ok := strings.CutSuffix(word, "ion"); ok {
		if measure(stem) > 1 && strings.IndexByte("st", stem[len(stem)-1]) >= 0 {
			return stem
		}
		return word
	}
	return apply(word, []rule{
		{"al", ""}, {"ance", ""}, {"ence", ""}, {"er", ""}, {"ic", ""}, {"able", ""}, {"ible", ""}, {"ant", ""},
		{"ement", ""}, {"ment", ""}, {"ent", ""}, {"ou", ""}, {"ism", ""}, {"ate", ""}, {"iti", ""}, {"ous", ""},
		{"ive", ""}, {"ize", ""},
	}, func(stem string) bool { return measure(stem) > 1 })
}

// step5a removes a final e.
func step5a(word string) string {
	stem, ok := strings.CutSuffix(word, "e")
	if !ok {
		return word
	}
	if m := measure(stem); m > 1 || m == 1 && !endsShort(stem) {
		return stem
	}
	return word
}

func step5b(word string) string {
	if strings.HasSuffix(word, "ll") && measure(word[:len(word)-1]) > 1 {
		return word[:len(word)-1]
	}
	return word
}

func isVowel(c byte) bool { return strings.IndexByte("aeiou", c) >= 0 }

// isConsonant reports whether a letter is a consonant. A y is one unless a
// consonant precedes it.
func isConsonant(word string, i int) bool {
	flip := false
	for i > 0 && word[i] == 'y' {
		i--
		flip = !flip
	}
	return isVowel(word[i]) == flip
}

// measure is Porter's m: how often a vowel is followed by a consonant.
func measure(stem string) int {
	m, consonant := 0, true
	for i := range len(stem) {
		before := consonant
		consonant = !isVowel(stem[i]) && (stem[i] != 'y' || i == 0 || !before)
		if consonant && i > 0 && !before {
			m++
		}
	}
	return m
}

func hasVowel(stem string) bool {
	consonant := false
	for i := range len(stem) {
		consonant = !isVowel(stem[i]) && (stem[i] != 'y' || i == 0 || !consonant)
		if !consonant {
			return true
		}
	}
	return false
}

// endsShort is Porter's condition *o: the word ends in consonant, vowel,
// consonant, the last other than w, x and y. In NLTK a word of one vowel and one
// consonant fulfils it too.
func endsShort(word string) bool {
	n := len(word)
	if n < 2 || isConsonant(word, n-2) || !isConsonant(word, n-1) {
		return false
	}
	if n == 2 {
		return true
	}
	return isConsonant(word, n-3) && strings.IndexByte("wxy", word[n-1]) < 0
}
