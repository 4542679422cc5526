package shape

import (
	"bytes"
	"errors"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
)

// errOtherPrompt is what is wrong with two answers that have no prompt in common.
var errOtherPrompt = errors.New("it answers another prompt than chosen does")

// promptOf is the column with the prompts of the shape preference, of those that there
// are.
func (o Options) promptOf(has func(column string) bool) string {
	if !has(promptColumn) && has(o.Columns.Question) {
		return o.Columns.Question
	}
	return promptColumn
}

// preference reads chosen and rejected, which are two texts, or two lists of messages.
// Lists may begin with the prompt: then a column with it is not read.
func (c *Converter) preference(r reader.Record) (row.Row, Lack, error) {
	var all [3][]row.Message
	for i, column := range []string{c.options.promptOf(c.has), chosenColumn, rejectedColumn} {
		var err error
		if all[i], err = answersIn(r, column, []string{row.User, row.Assistant, row.Assistant}[i]); err != nil {
			return row.Row{}, Nothing, err
		}
	}
	prompt, chosen, rejected := all[0], all[1], all[2]
	if isWhole(chosen) && isWhole(rejected) {
		n := commonPrompt(chosen, rejected)
		if n == 0 {
			return row.Row{}, Nothing, columnError(rejectedColumn, errOtherPrompt)
		}
		prompt, chosen, rejected = chosen[:n], chosen[n:], rejected[n:]
	}
	tools, err := listOf(r, toolsColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	out := row.Row{
		Messages: slices.Concat(prompt, chosen),
		Prompted: len(prompt),
		Rejected: slices.Concat(prompt, rejected),
		Tools:    tools,
	}
	switch {
	case len(chosen)+len(rejected) > 0 && (len(chosen) == 0 || len(rejected) == 0):
		return out, Answer, nil
	case lacksPrompt(prompt):
		return out, Question, nil
	case lackOfTraining(chosen) == Answer, saysNothing(chosen), saysNothing(rejected):
		return out, Answer, nil
	}
	return out, lackOfTraining(rejected), nil
}

// saysNothing reports whether an answer is empty. Beside another one it would teach a
// model to end at once, or never to.
func saysNothing(messages []row.Message) bool {
	for _, m := range messages {
		if m.Role() == row.Assistant && !row.SaysNothing(m) {
			return false
		}
	}
	return true
}

// isWhole reports whether messages begin with the prompt.
func isWhole(messages []row.Message) bool {
	return len(messages) > 1 && messages[0].Role() != row.Assistant
}

// commonPrompt is the number of messages before two answers to one prompt; 0 if they
// answer different ones. Two equal answers have the prompt before the last turn.
func commonPrompt(chosen, rejected []row.Message) int {
	n := 0
	for n < min(len(chosen), len(rejected)) && isSame(chosen[n], rejected[n]) {
		n++
	}
	if n == len(chosen) || n == len(rejected) {
		n = min(len(chosen), len(rejected)) - 1
	}
	for n > 0 && (chosen[n].Role() != row.Assistant || rejected[n].Role() != row.Assistant) {
		if n == len(chosen)-1 || n == len(rejected)-1 || chosen[n].Role() != rejected[n].Role() {
			return 0
		}
		n--
	}
	return n
}

func isSame(a, b row.Message) bool {
	return bytes.Equal(row.Conversation([]row.Message{a}), row.Conversation([]row.Message{b}))
}

// answersIn returns the messages of a column, or the one that its text is.
func answersIn(r reader.Record, column, role string) ([]row.Message, error) {
	if v, _ := r.Get(column); isTurns(v) {
		return messagesIn(r, column)
	}
	s, ok, err := cell(r, column)
	if err != nil || !ok {
		return nil, err
	}
	return []row.Message{row.NewMessage(role, s)}, nil
}
