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

// Others knows the records of the shapes that a converter does not read.
type Others struct {
	// Columns are those in which a record of any shape has values.
	Columns  []string
	options  Options
	required map[Shape][]string
}

// Others returns what is needed to find records of other shapes.
func (c *Converter) Others() Others {
	out := Others{options: c.options, required: c.required}
	for _, required := range c.required {
		out.Columns = append(out.Columns, required...)
	}
	slices.Sort(out.Columns)
	out.Columns = slices.Compact(out.Columns)
	return out
}

// Fits reports whether a record has the values of a shape.
func (o Others) Fits(r reader.Record, s Shape) bool {
	var one Survey
	for _, column := range o.required[s] {
		v, _ := r.Get(column)
		if v.IsMissing() {
			return false
		}
		one.Record(reader.Record{Fields: []value.Field{{Name: column, Value: v}}})
	}
	return one.fits(s, o.options.Columns)
}
