package shape

import (
	"fmt"
	"slices"
	"strings"
)

// The columns of the shapes.
const (
	messagesColumn      = "messages"
	toolsColumn         = "tools"
	conversationsColumn = "conversations"
	promptColumn        = "prompt"
	completionColumn    = "completion"
	instructionColumn   = "instruction"
	inputColumn         = "input"
	outputColumn        = "output"
	systemColumn        = "system"
	historyColumn       = "history"
	textColumn          = "text"
	chosenColumn        = "chosen"
	rejectedColumn      = "rejected"
	referencesColumn    = "references"
	labelColumn         = "label"
)

// signature is what the columns of a shape have to hold, for errors.
var signature = map[Shape]string{
	Messages:         "messages (a list of objects with role and content)",
	Conversations:    "conversations (a list of objects with from and value)",
	PromptCompletion: "prompt and completion (two texts, or two lists of messages)",
	Alpaca:           "instruction and output",
	Text:             "text",
	Preference:       "chosen and rejected",
}

// NoShapeError means that the columns of a data set fit no shape, or not the one
// that a key names.
type NoShapeError struct {
	Shape   Shape // that data_format names; Auto if none
	Columns []string
	// Missing are the columns that keys name and that are not there.
	Missing []string
	// Held says what the columns hold that keys name and that are there.
	Held    []string
	Options Options
}

// Error implements error.
func (e *NoShapeError) Error() string {
	have := fmt.Sprintf("it has the columns %s", quoteAll(e.Columns))
	if len(e.Columns) == 0 {
		have = "it has no columns"
	}
	question, answer := e.Options.key("question_column"), e.Options.key("ground_truth_column")
	switch {
	case len(e.Missing) > 0 && e.Shape == QuestionAnswer || len(e.Missing) == 1 && e.Shape == Auto:
		return fmt.Sprintf("%s; %s; set %s and %s", noColumns(e.Missing), have, question, answer)
	case e.Shape != Auto && e.Shape != QuestionAnswer:
		return fmt.Sprintf("%s = %q needs %s; %s", e.Options.key("data_format"), e.Shape, signature[e.Shape], have)
	case len(e.Missing) == 2:
		return fmt.Sprintf("%s; %s; set %s and %s, or give it the columns of a shape: %s",
			noColumns(e.Missing), have, question, answer, shapes())
	}
	return fmt.Sprintf("the columns that %s and %s name do not both hold text: %s; %s; name two with text, or give it the columns of a shape: %s",
		question, answer, strings.Join(e.Held, ", "), have, shapes())
}

// noColumns says which columns are not there.
func noColumns(missing []string) string {
	quoted := make([]string, len(missing))
	for i, name := range missing {
		quoted[i] = fmt.Sprintf("no column %q", name)
	}
	return "there is " + strings.Join(quoted, " and ")
}

// shapes names the shapes and their columns.
func shapes() string {
	var out []string
	for _, s := range order[1:] {
		if s != Preference {
			out = append(out, signature[s])
		}
	}
	return strings.Join(out, "; ")
}

// prefers is the method that learns from chosen and rejected answers.
func (o Options) prefers() string { return o.key("method") + ` = "dpo"` }

// fits reports whether the columns fit a shape.
func (s *Survey) fits(shape Shape, c Columns) bool {
	switch shape {
	case QuestionAnswer:
		answers := s.holds(c.Answer, text, texts, list) || !s.has(c.Answer) && c.Answer == DefaultAnswer && s.holds(referencesColumn, text, texts, list)
		return s.holds(c.Question, text) && answers
	case Messages:
		return s.holdsTurns(messagesColumn)
	case Conversations:
		return s.holdsTurns(conversationsColumn)
	case PromptCompletion:
		// Of two kinds, too: reading the rows says which.
		return (s.holdsTurns(promptColumn) || s.holds(promptColumn, text)) && s.holds(completionColumn, turns, text)
	case Alpaca:
		return s.holds(instructionColumn, text) && s.holds(outputColumn, text, texts)
	case Text:
		return s.holds(textColumn, text)
	case Preference:
		return s.has(chosenColumn) && s.has(rejectedColumn)
	}
	return false
}

// Recognise returns the converter for the records of a data set, and notes for the
// person. The error is a [*NoShapeError], or says which column or shape is refused.
func (s *Survey) Recognise(o Options) (*Converter, []string, error) {
	if o.Shape == "" {
		o.Shape = Auto
	}
	if !slices.Contains(Names(), string(o.Shape)) {
		return nil, nil, fmt.Errorf("%s = %q: unknown; want one of %s", o.key("data_format"), o.Shape, strings.Join(Names(), ", "))
	}
	if o.Prefers && !s.fits(Preference, o.Columns) {
		return nil, nil, fmt.Errorf("%s needs %s, and prompt or the column of %s, where the answers do not begin with it; it has the columns %s",
			o.prefers(), signature[Preference], o.key("question_column"), quoteAll(s.columns))
	}
	var fitting []Shape
	for _, shape := range order {
		if s.fits(shape, o.Columns) {
			fitting = append(fitting, shape)
		}
	}
	taken, notes, err := s.choose(o, fitting)
	if err == nil {
		err = s.refuse(o, taken)
	}
	if err != nil {
		return nil, nil, err
	}
	required := map[Shape][]string{}
	for _, shape := range order {
		required[shape] = o.required(shape)
	}
	return &Converter{Shape: taken, options: o, has: s.has, required: required}, notes, nil
}

// choose takes one of the shapes that fit.
func (s *Survey) choose(o Options, fitting []Shape) (Shape, []string, error) {
	missing := s.missing(o.Columns)
	noShape := &NoShapeError{Shape: o.Shape, Columns: s.columns, Missing: missing, Held: s.held(o.Columns), Options: o}
	if o.Prefers && o.Shape == Auto {
		return Preference, nil, nil
	}
	if o.Shape != Auto {
		if !slices.Contains(fitting, o.Shape) {
			return "", nil, noShape
		}
		return o.Shape, nil, nil
	}
	if err := s.namedLists(o, fitting); err != nil {
		return "", nil, err
	}
	if len(fitting) == 0 || len(missing) == 1 && fitting[0] != QuestionAnswer && isNamed(o.Columns) {
		return "", nil, noShape // one of two columns is there: the other is misspelt
	}
	taken := fitting[0]
	var notes []string
	if isNamed(o.Columns) && taken != QuestionAnswer {
		notes = append(notes, fmt.Sprintf("%s; the columns were read as the shape %q", noColumns(missing), taken))
	}
	if taken == Messages && s.holds(systemColumn, text) && o.Columns.System == "" && o.Columns.SystemOverride == "" {
		notes = append(notes, fmt.Sprintf("the column %q is not read; %s = %q puts it in front of each conversation",
			systemColumn, o.key("system_prompt_column"), systemColumn))
	}
	if taken == QuestionAnswer && o.Columns.Question == o.Columns.Answer {
		notes = append(notes, fmt.Sprintf("%s and %s name one column, %q: each question is its own answer",
			o.key("question_column"), o.key("ground_truth_column"), o.Columns.Answer))
	}
	if len(fitting) > 1 {
		notes = append(notes, fmt.Sprintf("the columns fit the shapes %s; they were read as %q; %s names another",
			quoteAll(fitting), taken, o.key("data_format")))
	}
	return taken, notes, nil
}

// namedLists refuses a column that the person named and that holds no text.
func (s *Survey) namedLists(o Options, fitting []Shape) error {
	for _, c := range []struct{ key, column, byDefault string }{
		{"question_column", o.Columns.Question, DefaultQuestion},
		{"ground_truth_column", o.Columns.Answer, DefaultAnswer},
	} {
		holds := s.contents[c.column]
		isText := holds == nothing || holds == text || c.key == "ground_truth_column" && (holds == texts || holds == list)
		if c.column == c.byDefault || isText || !s.has(c.column) {
			continue
		}
		err := fmt.Errorf("%s = %q: this column holds %s, not text", o.key(c.key), c.column, holds)
		if len(fitting) > 0 && fitting[0] != Preference {
			return fmt.Errorf("%w; the data has the shape %q: leave %s and %s out to read it so",
				err, fitting[0], o.key("question_column"), o.key("ground_truth_column"))
		}
		return err
	}
	return nil
}

// missing are the columns that the keys name and that are not there.
func (s *Survey) missing(c Columns) []string {
	var out []string
	for _, column := range []string{c.Question, c.Answer} {
		if !s.has(column) && !slices.Contains(out, column) {
			out = append(out, column)
		}
	}
	return out
}

// held says what the columns hold that the keys name.
func (s *Survey) held(c Columns) (out []string) {
	for _, column := range []string{c.Question, c.Answer} {
		if s.has(column) {
			out = append(out, fmt.Sprintf("%q holds %s", column, s.contents[column]))
		}
	}
	return out
}

// isNamed reports whether the person named a column.
func isNamed(c Columns) bool { return c.Question != DefaultQuestion || c.Answer != DefaultAnswer }

// refuse refuses what the engine cannot do with a shape, and a system or image
// column that is not there.
func (s *Survey) refuse(o Options, taken Shape) error {
	switch {
	case taken == Preference && !o.Prefers && o.Use == Training:
		return fmt.Errorf("the data has the shape %q (chosen and rejected), from which %s learns; "+
			"to learn one of them as the answer, set %s and %s", taken, o.prefers(), o.key("question_column"), o.key("ground_truth_column"))
	case taken == Preference && !o.Prefers:
		return fmt.Errorf("the data has the shape %q (chosen and rejected); to compare with one of them, set %s and %s",
			taken, o.key("question_column"), o.key("ground_truth_column"))
	case o.Prefers && taken != Preference:
		return fmt.Errorf("%s = %q, and %s learns from the shape %q (chosen and rejected)", o.key("data_format"), taken, o.prefers(), Preference)
	case taken == PromptCompletion && o.Shape == Auto && o.Use == Training && s.judges(labelColumn):
		return fmt.Errorf("the data has judged answers (%s, %s and true or false in %s, as for KTO), and this engine has no method for them; "+
			"to learn every answer, good or bad, set %s = %q",
			promptColumn, completionColumn, labelColumn, o.key("data_format"), PromptCompletion)
	case taken == Text && o.Use == Testing:
		return fmt.Errorf("the data has the shape %q, which has no questions; a test needs some, see %s", taken, o.key("question_column"))
	case o.Columns.Image != "" && !o.Sees:
		return fmt.Errorf("%s = %q: this engine does not see images", o.key("image_column"), o.Columns.Image)
	}
	for _, c := range []struct{ key, column string }{
		{"system_prompt_column", o.Columns.System}, {"image_column", o.Columns.Image},
	} {
		if c.column != "" && !s.has(c.column) && (c.column != o.Columns.System || o.Columns.SystemOverride == "") {
			return fmt.Errorf("%s = %q: there is no such column; it has %s", o.key(c.key), c.column, quoteAll(s.columns))
		}
	}
	return nil
}

func quoteAll[S ~string](names []S) string {
	const most = 30
	var quoted []string
	for i, name := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", string(name)))
	}
	return strings.Join(quoted, ", ")
}
