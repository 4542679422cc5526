package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
)

// empties counts the rows that have a question or an answer, but nothing in it. They
// are used: an empty text may be meant.
type empties struct {
	questions, answers         int64
	firstQuestion, firstAnswer row.Place
}

func (e *empties) add(r row.Row, use Use) {
	count := func(n *int64, first *row.Place, empty bool) {
		if !empty {
			return
		}
		if *n == 0 {
			*first = r.Place
		}
		*n++
	}
	if r.IsText() {
		count(&e.answers, &e.firstAnswer, isBlank(r.Text))
		return
	}
	count(&e.questions, &e.firstQuestion, asksNothing(r))
	if use == Testing {
		count(&e.answers, &e.firstAnswer, len(r.Truths) > 0 && !slices.ContainsFunc(r.Truths, isNotBlank))
		return
	}
	count(&e.answers, &e.firstAnswer, answersNothing(r))
}

// asksNothing reports whether a turn of the user has neither text nor images.
func asksNothing(r row.Row) bool {
	return slices.ContainsFunc(r.Prompt(), func(m row.Message) bool {
		text, _ := m.Text()
		return m.Role() == row.User && isBlank(text) && len(m.Images()) == 0
	})
}

// answersNothing reports whether an answer that is learned is empty.
func answersNothing(r row.Row) bool {
	return slices.ContainsFunc(r.Messages[r.Prompted:], func(m row.Message) bool {
		return m.Role() == row.Assistant && !m.IsUnweighted() && row.SaysNothing(m)
	})
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }

func isNotBlank(text string) bool { return !isBlank(text) }

// notes say how many rows are concerned, of so many that were read. isText says that
// the rows are plain texts.
func (e *empties) notes(read int64, use Use, isText bool) []string {
	var out []string
	add := func(n int64, what string, first row.Place) {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d of %d rows have %s; the first is %s", n, read, what, first))
		}
	}
	add(e.questions, "an empty question and are used as they are", e.firstQuestion)
	switch {
	case isText:
		add(e.answers, "an empty text: a model learns from it to say nothing", e.firstAnswer)
	case use == Testing:
		add(e.answers, "an empty ground truth and are scored against it", e.firstAnswer)
	default:
		add(e.answers, "an empty answer: a model learns from it to answer nothing", e.firstAnswer)
	}
	return out
}
