package prepare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// checkedRows is on how many rows markers are compared with the positions that the
// chat template gives.
const checkedRows = 100

// markerCheck compares the markers that a person gave with the chat template. In
// rows with roles they never decide.
type markerCheck struct {
	given lossmask.Markers
	tok   *token.Tokenizer

	rows, texts, missing, elsewhere int
	first                           string // the difference in the first row that has one
}

// add compares a row.
func (c *markerCheck) add(r Row) {
	if !c.given.Given() || c.rows == checkedRows {
		return
	}
	c.rows++
	if r.Source.IsText() {
		c.texts++
		if _, ok := c.given.Find(r.Source.Text); !ok {
			c.missing++
		}
		return
	}
	for _, e := range r.Examples {
		if len(e.Spans) == 0 {
			continue
		}
		spans, ok := c.given.Find(e.Text)
		if !ok {
			c.missing++
			c.differ(e.Text, nil, e.Spans, r)
			return
		}
		// Of a conversation that became several examples, each learns its last answer.
		spans = slices.DeleteFunc(spans, func(s [2]int) bool { return s[1] <= e.Spans[0][0] })
		_, given := c.tok.EncodeMarked(e.Text, spans)
		_, derived := c.tok.EncodeMarked(e.Text, e.Spans)
		if !slices.Equal(given, derived) {
			c.elsewhere++
			c.differ(e.Text, spans, e.Spans, r)
			return
		}
	}
}

// differ remembers the first difference.
func (c *markerCheck) differ(text string, given, derived [][2]int, r Row) {
	if c.first != "" {
		return
	}
	marked := "nothing"
	if len(given) > 0 {
		marked = shown(text, given[0])
	}
	c.first = fmt.Sprintf("in %s they mark %s, the chat template %s", r.Source.Place, marked, shown(text, derived[0]))
}

// shown is a part of a text, shortened.
func shown(text string, span [2]int) string {
	const longest = 80
	part := text[span[0]:span[1]]
	if len(part) <= longest {
		return fmt.Sprintf("%q", part)
	}
	return fmt.Sprintf("%q…", strings.ToValidUTF8(part[:longest], ""))
}

// notes tell of markers that are not found, or mark another place.
func (c *markerCheck) notes() []string {
	given := fmt.Sprintf("fine_tuner.question_part %q and answer_part %q", c.given.Question, c.given.Answer)
	switch {
	case c.texts > 0 && c.missing > 0:
		return []string{fmt.Sprintf("%s do not occur in %d of the first %d rows, of which every token counts", given, c.missing, c.texts)}
	case c.missing > 0:
		return []string{fmt.Sprintf("%s do not occur in the rendered rows, %d of the first %d; the chat template decides what counts: %s", given, c.missing, c.rows, c.first)}
	case c.elsewhere > 0:
		return []string{fmt.Sprintf("%s mark another place than the chat template, which decides what counts, in %d of the first %d rows: %s", given, c.elsewhere, c.rows, c.first)}
	}
	return nil
}
