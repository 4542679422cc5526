package shape

import (
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// required are the columns of a shape in which a record of it has values.
func (o Options) required(s Shape) []string {
	switch s {
	case QuestionAnswer:
		return []string{o.Columns.Question, o.Columns.Answer}
	case Messages:
		return []string{messagesColumn}
	case Conversations:
		return []string{conversationsColumn}
	case PromptCompletion:
		return []string{promptColumn, completionColumn}
	case Alpaca:
		return []string{instructionColumn, outputColumn}
	case Text:
		return []string{textColumn}
	case Preference:
		return []string{chosenColumn, rejectedColumn}
	}
	return nil
}

// AllColumns are the columns of the converter, and those by which the records of
// other shapes are known.
func (c *Converter) AllColumns() []string {
	columns := c.Columns()
	for _, required := range c.required {
		columns = append(columns, required...)
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// Fits reports whether a record has the values of a shape.
func (c *Converter) Fits(r reader.Record, s Shape) bool {
	var one Survey
	for _, column := range c.required[s] {
		v, _ := r.Get(column)
		if v.IsMissing() {
			return false
		}
		one.Record(reader.Record{Fields: []value.Field{{Name: column, Value: v}}})
	}
	return one.fits(s, c.options.Columns)
}
