package shape

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Converter makes rows of records. It may be used concurrently.
type Converter struct {
	// Shape is what the records are read as.
	Shape   Shape
	options Options
	has     func(column string) bool // in the first records
	// required are the columns in which a record of each shape has values.
	required map[Shape][]string
}

// ColumnError means that a column of a record is not what its shape wants.
type ColumnError struct {
	Column string
	Err    error
}

// Error implements error.
func (e *ColumnError) Error() string { return fmt.Sprintf("column %q: %v", e.Column, e.Err) }

// Unwrap returns the cause.
func (e *ColumnError) Unwrap() error { return e.Err }

func columnError(column string, err error) error {
	if err == nil {
		return nil
	}
	return &ColumnError{Column: column, Err: err}
}

// Columns are the columns that the converter reads.
func (c *Converter) Columns() []string {
	o := c.options
	columns := map[Shape][]string{
		QuestionAnswer:   {o.Columns.Question, o.Columns.Answer},
		Messages:         {messagesColumn, toolsColumn, o.Columns.Answer},
		Conversations:    {conversationsColumn, toolsColumn, systemColumn, o.Columns.Answer},
		PromptCompletion: {promptColumn, completionColumn, toolsColumn},
		Alpaca:           {instructionColumn, inputColumn, outputColumn, systemColumn, historyColumn},
		Text:             {textColumn},
		Preference:       {c.options.promptOf(c.has), chosenColumn, rejectedColumn, toolsColumn},
	}[c.Shape]
	columns = append(columns, referencesColumn, o.Columns.System)
	columns = append(append(columns, c.imageColumns()...), o.Extra...)
	slices.Sort(columns)
	return slices.DeleteFunc(slices.Compact(columns), func(name string) bool { return name == "" })
}

// Check returns an error for the columns of a file that lacks one of the shape.
func (c *Converter) Check(columns []string) error {
	o := c.options
	required := slices.Clone(c.required[c.Shape])
	if o.Columns.SystemOverride == "" {
		required = append(required, o.Columns.System)
	}
	for _, column := range append(required, o.Columns.Image) {
		if column != "" && c.has(column) && !slices.Contains(columns, column) {
			return fmt.Errorf("there is no column %q; it has the columns %s", column, quoteAll(columns))
		}
	}
	return nil
}

// File says what is to be known about the file of a record.
type File struct {
	// Images finds the images that records name.
	Images Images
	// IsColumnar says that all records have the same fields, nested ones too, as in
	// Parquet: a missing one says nothing.
	IsColumnar bool
}

// Convert makes a row of a record, except its place, and says what the record
// lacks. The error is a [*ColumnError].
func (c *Converter) Convert(r reader.Record, f File) (row.Row, Lack, error) {
	if f.IsColumnar {
		r = withoutMissingFields(r)
	}
	var out row.Row
	var lack Lack
	var err error
	switch c.Shape {
	case QuestionAnswer:
		out, lack, err = c.questionAnswer(r)
	case Messages:
		out, lack, err = c.conversation(r, messagesColumn)
	case Conversations:
		out, lack, err = c.conversation(r, conversationsColumn)
	case PromptCompletion:
		out, lack, err = c.promptCompletion(r)
	case Alpaca:
		out, lack, err = c.alpaca(r)
	case Preference:
		out, lack, err = c.preference(r)
	default:
		out, lack, err = plainText(r)
	}
	if err != nil || lack == Question {
		return out, lack, err
	}
	if err := c.addSystem(r, &out); err != nil {
		return out, lack, err
	}
	if err := c.addImages(r, &out, f.Images); err != nil {
		return out, lack, err
	}
	return out, lack, addFields(r, &out, c.options.Extra)
}

// plainText reads the shape text.
func plainText(r reader.Record) (row.Row, Lack, error) {
	s, ok, err := cell(r, textColumn)
	if err != nil || !ok {
		return row.Row{}, Question, err
	}
	return row.Row{Text: s}, Nothing, nil
}

// questionAnswer reads the two columns that the keys name.
func (c *Converter) questionAnswer(r reader.Record) (row.Row, Lack, error) {
	question, ok, err := cell(r, c.options.Columns.Question)
	if err != nil || !ok {
		return row.Row{}, Question, err
	}
	return c.answered([]row.Message{row.NewMessage(row.User, question)}, r, c.options.Columns.Answer)
}

// answered completes a conversation by the answer that a column has.
func (c *Converter) answered(prompt []row.Message, r reader.Record, column string) (row.Row, Lack, error) {
	answers, err := cells(r, column)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	truths, err := withReferences(r, answers)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	out := row.Row{Messages: prompt, Truths: truths}
	if len(truths) == 0 {
		return out, c.options.Use.unanswered(), nil
	}
	out.Messages = append(out.Messages, row.NewMessage(row.Assistant, truths[0]))
	return out, Nothing, nil
}

// withReferences adds the column references to the ground truths.
func withReferences(r reader.Record, truths []string) ([]string, error) {
	v, _ := r.Get(referencesColumn)
	if parsed, ok := v.Listed(); ok {
		v = parsed
	}
	more, err := textsOf(v, referencesColumn)
	for _, s := range more {
		if !slices.Contains(truths, s) {
			truths = append(truths, s)
		}
	}
	return truths, err
}

// unanswered is what a record without an answer lacks.
func (u Use) unanswered() Lack {
	if u == Testing {
		return Truth
	}
	return Answer
}

// addSystem puts a system prompt in front, or in the place of the one that is there.
// The key that sets one for all rows wins, then the column that a key names.
func (c *Converter) addSystem(r reader.Record, out *row.Row) error {
	system := c.options.Columns.SystemOverride
	if system == "" && c.options.Columns.System != "" {
		var err error
		if system, _, err = cell(r, c.options.Columns.System); err != nil {
			return err
		}
	}
	if system == "" || out.IsText() {
		return nil
	}
	before := len(out.Messages)
	out.Messages = row.WithSystem(out.Messages, system)
	if out.Prompted > 0 {
		out.Prompted += len(out.Messages) - before
	}
	if len(out.Rejected) > 0 {
		out.Rejected = row.WithSystem(out.Rejected, system)
	}
	return nil
}

// addFields adds the extra columns.
func addFields(r reader.Record, out *row.Row, extra []string) error {
	for _, column := range extra {
		s, ok, err := cell(r, column)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if out.Fields == nil {
			out.Fields = make(map[string]string, len(extra))
		}
		out.Fields[column] = s
	}
	return nil
}

// cell returns the text of a column. ok is false if it is missing.
func cell(r reader.Record, column string) (s string, ok bool, err error) {
	v, _ := r.Get(column)
	if v.IsMissing() {
		return "", false, nil
	}
	s, err = v.Text()
	return s, err == nil, columnError(column, err)
}

// cells returns the texts of a column: one, or those of a list.
func cells(r reader.Record, column string) ([]string, error) {
	v, _ := r.Get(column)
	return textsOf(v, column)
}

func textsOf(v value.Value, column string) ([]string, error) {
	if v.IsMissing() {
		return nil, nil
	}
	if v.Kind() != value.List {
		s, err := v.Text()
		return []string{s}, columnError(column, err)
	}
	var out []string
	for i, item := range v.Items() {
		if item.IsMissing() {
			continue
		}
		s, err := item.Text()
		if err != nil {
			return nil, columnError(column, fmt.Errorf("number %d of the list: %w", i+1, err))
		}
		out = append(out, s)
	}
	return out, nil
}

// listOf returns the list that a column has, also as JSON; missing if there is none.
func listOf(r reader.Record, column string) (value.Value, error) {
	v, _ := r.Get(column)
	if parsed, ok := v.Listed(); ok {
		return parsed, nil
	}
	switch v.Kind() {
	case value.Missing, value.List:
		return v, nil
	case value.Text:
		if s, err := v.Text(); s == "" && err == nil {
			return value.Value{}, nil // an empty text where a list is wanted
		}
		return v, columnError(column, errors.New("it holds text that is not the JSON of a list; write JSON lines or Parquet, which have lists"))
	}
	return v, columnError(column, fmt.Errorf("it holds %s, not a list", v.Kind()))
}
