package shape

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// alpaca reads instruction, input, output, system and history.
func (c *Converter) alpaca(r reader.Record) (row.Row, Lack, error) {
	instruction, hasInstruction, err := cell(r, instructionColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	input, _, err := cell(r, inputColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	switch {
	case !hasInstruction && input == "":
		return row.Row{}, Question, nil
	case instruction == "":
		instruction = input
	case input != "":
		instruction += "\n\n" + input
	}
	messages, err := history(r)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	if messages, err = withSystemColumn(messages, r); err != nil {
		return row.Row{}, Nothing, err
	}
	return c.answered(append(messages, row.NewMessage(row.User, instruction)), r, outputColumn)
}

// history returns the turns of the column history, a list of pairs of a question and
// its answer.
func history(r reader.Record) ([]row.Message, error) {
	list, err := listOf(r, historyColumn)
	if err != nil {
		return nil, err
	}
	var out []row.Message
	for i, pair := range list.Items() {
		if pair.Kind() != value.List || pair.Len() != 2 {
			return nil, columnError(historyColumn, fmt.Errorf("turn %d is no pair of a question and its answer", i+1))
		}
		for j, v := range pair.Items() {
			s, err := v.Text()
			if err != nil {
				return nil, columnError(historyColumn, fmt.Errorf("turn %d: %w", i+1, err))
			}
			out = append(out, row.NewMessage([]string{row.User, row.Assistant}[j], s))
		}
	}
	return out, nil
}

// promptCompletion reads two texts, or two lists of messages.
func (c *Converter) promptCompletion(r reader.Record) (row.Row, Lack, error) {
	prompt, _ := r.Get(promptColumn)
	completion, _ := r.Get(completionColumn)
	promptIsList, completionIsList := isTurns(prompt), isTurns(completion)
	if !prompt.IsMissing() && !completion.IsMissing() && promptIsList != completionIsList {
		return row.Row{}, Nothing, columnError(completionColumn,
			errors.New("prompt and completion are of two kinds; want two texts, or two lists of messages"))
	}
	if !promptIsList && !completionIsList {
		question, ok, err := cell(r, promptColumn)
		if err != nil || !ok {
			return row.Row{}, Question, err
		}
		out, lack, err := c.answered([]row.Message{row.NewMessage(row.User, question)}, r, completionColumn)
		out.Prompted = 1
		return out, lack, err
	}
	messages, err := messagesIn(r, promptColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	answer, err := messagesIn(r, completionColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	tools, err := listOf(r, toolsColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	if lacksPrompt(messages) {
		return row.Row{}, Question, nil
	}
	return c.judged(row.Row{Messages: slices.Concat(messages, answer), Prompted: len(messages), Tools: tools}, r)
}

// isTurns reports whether a value is a list, or the JSON of a list of objects.
func isTurns(v value.Value) bool { return v.Kind() == value.List || contentOf(v) == turns }
