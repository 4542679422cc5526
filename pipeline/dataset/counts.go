package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Counts are the rows of a data set.
type Counts struct {
	// Read is the number of rows in the files, and Rows that of the rows that an
	// engine gets.
	Read, Rows int64
	// MissingAnswers is the number of rows that are left out of a training because
	// they have no answer.
	MissingAnswers int64
	// MissingTruths is the number of rows of a test, among Rows, that have no ground
	// truth.
	MissingTruths int64
	// Dropped is the number of rows that are left out because they have no question,
	// no conversation or no text.
	Dropped int64
	// FurtherAnswers is the number of rows of a training that have several answers,
	// of which the first is learned.
	FurtherAnswers int64
	// Images is the number of images in Rows.
	Images int64
}

// tally counts the rows of a data set, and knows the first of each kind that lacks
// something.
type tally struct {
	Counts
	firstUnanswered, firstDropped row.Place
	empties                       empties
	// listed is the number of rows of a test whose ground truth is a text that looks
	// like a list.
	listed int64
	// roles are those of the rows without an answer, up to maxRoles.
	roles []string
}

// maxRoles bounds the roles that an error names.
const maxRoles = 5

// addRoles notes who speaks in a row without an answer.
func (t *tally) addRoles(r row.Row) {
	for _, m := range r.Messages {
		if role := m.Role(); len(t.roles) < maxRoles && !slices.Contains(t.roles, role) {
			t.roles = append(t.roles, role)
		}
	}
}

func (t *tally) add(r row.Row, lack shape.Lack, use Use) {
	t.Read++
	switch lack {
	case shape.Answer:
		if t.MissingAnswers == 0 {
			t.firstUnanswered = r.Place
		}
		t.MissingAnswers++
		t.addRoles(r)
		return
	case shape.Question:
		if t.Dropped == 0 {
			t.firstDropped = r.Place
		}
		t.Dropped++
		return
	case shape.Truth:
		if t.MissingTruths == 0 {
			t.firstUnanswered = r.Place
		}
		t.MissingTruths++
	}
	t.Rows++
	t.Images += int64(len(r.Images))
	t.empties.add(r, use)
	if use == Training && len(r.Truths) > 1 {
		t.FurtherAnswers++
	}
	if use == Testing && len(r.Truths) == 1 && value.LooksListed(r.Truths[0]) {
		t.listed++
	}
}

// isMany is the share of rows above which a note is a warning.
const isMany = 0.1

// report returns what the person has to know about rows that lack something.
// section is that of the keys.
func (t *tally) report(s shape.Shape, c Columns, use Use, section string) (notes, warnings []string) {
	add := func(n int64, text string) {
		switch {
		case n == 0:
		case float64(n) > isMany*float64(t.Read):
			warnings = append(warnings, text)
		default:
			notes = append(notes, text)
		}
	}
	answer := fmt.Sprintf("%s.ground_truth_column = %q", section, c.Answer)
	if s != shape.QuestionAnswer {
		answer = fmt.Sprintf("the shape %q", s)
	}
	if s == shape.Preference {
		answer += ": chosen or rejected is missing, or empty"
	}
	add(t.MissingAnswers, fmt.Sprintf("%d of %d rows have no answer (%s) and are left out; the first is %s",
		t.MissingAnswers, t.Read, answer, t.firstUnanswered))
	add(t.MissingTruths, fmt.Sprintf("%d of %d rows have no ground truth (%s) and cannot be scored; the first is %s",
		t.MissingTruths, t.Read, answer, t.firstUnanswered))
	lacked := "question"
	if s == shape.Text {
		lacked = "text"
	}
	add(t.Dropped, fmt.Sprintf("%d of %d rows have no %s and are left out; the first is %s", t.Dropped, t.Read, lacked, t.firstDropped))
	notes = append(notes, t.empties.notes(t.Read, use, s == shape.Text)...)
	if t.FurtherAnswers > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d rows have several answers: the first one is learned", t.FurtherAnswers, t.Read))
	}
	if t.listed > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d ground truths look like lists and are compared as the text that they are; "+
			"several right answers are a list of JSON lines or Parquet, or the JSON of a list in a column \"references\"", t.listed, t.Read))
	}
	return notes, warnings
}

// fault is the error of a data set without a row that serves its use.
func (t *tally) fault(s shape.Shape, c Columns, section string) error {
	key := section + ".ground_truth_column"
	if s != shape.QuestionAnswer {
		key = section + ".data_format"
	}
	switch {
	case t.Read == 0:
		return ErrEmpty
	case t.Dropped == t.Read && s == shape.QuestionAnswer:
		return fmt.Errorf("no row has a question: column %q has no values; set %s.question_column", c.Question, section)
	case t.Dropped == t.Read:
		return fmt.Errorf("no row has a question or text of the shape %q; set %s", s, key)
	case t.MissingAnswers > 0 && t.Rows == 0 && s == shape.QuestionAnswer:
		return fmt.Errorf("no row has an answer to learn: column %q has no values in rows with a question; set %s", c.Answer, key)
	case t.MissingAnswers > 0 && t.Rows == 0 && len(t.roles) > 0 && !slices.Contains(t.roles, row.Assistant):
		return fmt.Errorf("no row has an answer to learn in the shape %q: the roles of its turns are %s, and an answer has the role %q",
			s, quoted(t.roles), row.Assistant)
	case t.MissingAnswers > 0 && t.Rows == 0:
		return fmt.Errorf("no row has an answer to learn in the shape %q; set %s", s, key)
	case t.MissingTruths > 0 && t.MissingTruths == t.Rows && s == shape.QuestionAnswer:
		return fmt.Errorf("no row has a ground truth: column %q has no values; set %s", c.Answer, key)
	case t.MissingTruths > 0 && t.MissingTruths == t.Rows:
		return fmt.Errorf("no row has a ground truth in the shape %q, such as a last turn of the assistant", s)
	}
	return nil
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = fmt.Sprintf("%.40q", name)
	}
	return strings.Join(out, ", ")
}
