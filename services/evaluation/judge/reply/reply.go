// Package reply finds in the text that a judge wrote what it was asked for. A text
// without it is no reply, and the judge is asked again.
package reply

import (
	"regexp"
	"strings"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

// JSON finds the first balanced object or list behind a think block, which may hold
// drafts, and after a json fence if there is one. Brackets inside strings do not
// count.
func JSON(text string) (found string, ok bool) {
	text, _ = prediction.SplitReasoning(text)
	if before, fenced, ok := strings.Cut(text, "```json"); ok && !strings.Contains(before, `"`) {
		text = fenced // a quote before the fence may begin the answer itself, with a fence in a string
	}
	start := strings.IndexAny(text, "{[")
	if start < 0 {
		return "", false
	}
	var open []byte
	inString := false
	for i := start; i < len(text); i++ {
		switch b := text[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			open = append(open, b+2) // the closing bracket, in ASCII
		case b == '}' || b == ']':
			if open[len(open)-1] != b {
				return "", false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return text[start : i+1], true
			}
		}
	}
	return "", false
}

var (
	// number is what a rating may be taken for.
	number = regexp.MustCompile(`[-+]?\d+(?:[.,/]\d+)*`)
	// ofFour is how a judge repeats the largest rating.
	ofFour = regexp.MustCompile(`(?i)(\d)\s*(?:/|out of|of)\s*4\b`)
)

// Rating finds the one number of an answer behind its think block, which has to be
// a rating. RAGAS takes the smallest digit from 0 to 4 anywhere in the text, so that
// "On a scale of 0 to 4, I give 4" is 0, and "14" is 1. Here the judge is asked again.
func Rating(text string) (rating int, ok bool) {
	text, _ = prediction.SplitReasoning(text)
	found := number.FindAllString(ofFour.ReplaceAllString(text, "$1"), -1)
	for i, one := range found {
		if len(one) != 1 || one > "4" || one != found[0] {
			return 0, false
		}
		if i == 0 {
			rating = int(one[0] - '0')
		}
	}
	return rating, len(found) > 0
}
