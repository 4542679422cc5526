package prediction

import (
	"fmt"
	"slices"
	"strings"
)

// Columns are the columns of an answers file that keys of the specification name.
// An empty name means that the key has its default.
type Columns struct {
	Answer      string // evaluator.answer_column
	Question    string // inferencer.question_column
	GroundTruth string // inferencer.ground_truth_column
}

// names are the columns that one kind of answers file has.
type names struct {
	whose                         string // for notes
	question, groundTruth, answer string
}

// knownNames are those of the kinds that are recognised, in this order.
func knownNames() []names {
	return []names{
		{"tunebus's", "question", "ground_truth", "answer"},
		{"the original Python pipeline's", "user_prompt", "ground_truth", "assistant_response"},
		{"RAGAS's", "user_input", "reference", "response"},
	}
}

// Columns that every kind may have.
const (
	referencesColumn   = "references"
	systemColumn       = "system"
	systemPromptColumn = "system_prompt"
	keyFactColumn      = "key_fact"
	reasoningColumn    = "reasoning"
	errorColumn        = "error"
)

// The columns of data sets, unless keys say otherwise.
const (
	dataSetQuestion = "question"
	dataSetAnswer   = "answer"
)

// NamesError means that an answers file has none of the known columns, or not the
// columns that the keys name.
type NamesError struct {
	File    string // as the person knows it
	Lacks   string // what is not there
	Columns []string
	Remedy  string
}

// Error implements error.
func (e *NamesError) Error() string {
	const most = 20
	has := strings.Join(e.Columns[:min(len(e.Columns), most)], ", ")
	switch n := len(e.Columns) - most; {
	case n > 0:
		has += fmt.Sprintf(" and %d more", n)
	case has == "":
		has = "no columns"
	}
	return fmt.Sprintf("%s: there is no %s; it has %s; %s", e.File, e.Lacks, has, e.Remedy)
}

// otherNames is what to do for other columns.
const otherNames = "name the columns with evaluator.answer_column, inferencer.question_column and inferencer.ground_truth_column"

// passedOver returns the names of another kind that a file has whole: its answers may
// be others. Answers files of tunebus have the same answers under the original
// pipeline's names, which share the column of the ground truth.
func (n names) passedOver(columns []string) (names, bool) {
	for _, kind := range knownNames() {
		if kind.answer != n.answer && kind.groundTruth != n.groundTruth &&
			slices.Contains(columns, kind.answer) && slices.Contains(columns, kind.groundTruth) {
			return kind, true
		}
	}
	return names{}, false
}

// chooseNames finds the names under which a file with these columns is read. The
// columns that keys name win. A kind whose answer and ground truth are both there
// wins over one that has the answer alone.
func chooseNames(file string, columns []string, named Columns, needsTruth bool) (names, error) {
	has := func(column string) bool { return column != "" && slices.Contains(columns, column) }
	if named.Answer != "" && !has(named.Answer) {
		return names{}, &NamesError{
			File: file, Lacks: fmt.Sprintf("column %q, which evaluator.answer_column names", named.Answer), Columns: columns,
			Remedy: "name the column with the answers",
		}
	}
	// A column that a key names comes first, one with the name that data sets have
	// last: a data set to which the answers were added is read as well.
	choose := func(own, answer, named, dataSet string) string {
		switch {
		case has(named) && named != answer:
			return named
		case !has(own) && has(dataSet) && dataSet != answer:
			return dataSet
		}
		return own
	}
	var found []names
	for _, kind := range knownNames() {
		n := kind
		if named.Answer != "" {
			n.answer = named.Answer
		}
		n.question = choose(n.question, n.answer, named.Question, dataSetQuestion)
		n.groundTruth = choose(n.groundTruth, n.answer, named.GroundTruth, dataSetAnswer)
		if n != kind {
			n.whose = ""
		}
		if has(n.answer) {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return names{}, &NamesError{File: file, Lacks: "question, ground truth or answer under a known name", Columns: columns, Remedy: otherNames}
	}
	score := func(n names) int {
		s := 0
		if has(n.groundTruth) || has(referencesColumn) {
			s += 2
		}
		if has(n.question) {
			s++
		}
		return s
	}
	best := slices.MaxFunc(found, func(a, b names) int { return score(a) - score(b) }) // the first of equal ones
	if needsTruth && !has(best.groundTruth) && !has(referencesColumn) {
		return names{}, &NamesError{
			File: file, Lacks: fmt.Sprintf("ground truth beside the answers in %q", best.answer), Columns: columns, Remedy: otherNames,
		}
	}
	return best, nil
}

// note says under which names a file is read.
func (n names) note(columns []string) string {
	where := func(what string, candidates ...string) string {
		for _, c := range candidates {
			if slices.Contains(columns, c) {
				return fmt.Sprintf("%s in %q", what, c)
			}
		}
		return "no " + what
	}
	under := "the names"
	if n.whose != "" {
		under = n.whose + " names"
	}
	return fmt.Sprintf("is read under %s: %s, %s, %s", under, where("the question", n.question),
		where("the ground truth", n.groundTruth, referencesColumn), where("the answer", n.answer))
}
