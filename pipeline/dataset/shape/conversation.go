package shape

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// conversation reads a column with a list of messages.
func (c *Converter) conversation(r reader.Record, column string) (row.Row, Lack, error) {
	messages, err := messagesIn(r, column)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	if column == conversationsColumn {
		if messages, err = withSystemColumn(messages, r); err != nil {
			return row.Row{}, Nothing, err
		}
	}
	tools, err := listOf(r, toolsColumn)
	if err != nil {
		return row.Row{}, Nothing, err
	}
	out := row.Row{Messages: messages, Tools: tools}
	return c.judged(out, r)
}

// judged adds the ground truths of a conversation, and says what it lacks.
func (c *Converter) judged(out row.Row, r reader.Record) (row.Row, Lack, error) {
	if lacksPrompt(out.Prompt()) {
		return out, Question, nil
	}
	if c.options.Use != Testing {
		return out, lackOfTraining(out.Messages[out.Prompted:]), nil
	}
	var err error
	n := len(out.Messages)
	if out.Messages[n-1].Role() == row.Assistant {
		if s, ok := out.Messages[n-1].Text(); ok && !(s == "" && out.Messages[n-1].Calls()) {
			out.Truths = []string{s}
		}
	} else if c.Shape != PromptCompletion {
		// A conversation that ends with a question may have its answer in a column.
		if out.Truths, err = cells(r, c.options.Columns.Answer); err != nil {
			return out, Nothing, err
		}
	}
	if out.Truths, err = withReferences(r, out.Truths); err != nil {
		return out, Nothing, err
	}
	if len(out.Truths) == 0 {
		return out, Truth, nil
	}
	return out, Nothing, nil
}

// lacksPrompt reports whether a prompt has no turn, or one without a content.
func lacksPrompt(prompt []row.Message) bool {
	turns := 0
	for _, m := range prompt {
		if !m.HasContent() {
			return true
		}
		if !m.IsSystem() {
			turns++
		}
	}
	return turns == 0
}

// lackOfTraining is [Answer] if there is no assistant turn, or one without a
// content.
func lackOfTraining(messages []row.Message) Lack {
	answers := 0
	for _, m := range messages {
		if m.Role() != row.Assistant {
			continue
		}
		if !m.HasContent() {
			return Answer
		}
		answers++
	}
	if answers == 0 {
		return Answer
	}
	return Nothing
}

// withSystemColumn puts the system prompt of the column system in front of a
// conversation that has none.
func withSystemColumn(messages []row.Message, r reader.Record) ([]row.Message, error) {
	system, _, err := cell(r, systemColumn)
	if err != nil || system == "" || len(messages) > 0 && messages[0].IsSystem() {
		return messages, err
	}
	return row.WithSystem(messages, system), nil
}

// messagesIn returns the messages of a column; none if it is missing.
func messagesIn(r reader.Record, column string) ([]row.Message, error) {
	list, err := listOf(r, column)
	if err != nil {
		return nil, err
	}
	var out []row.Message
	for i, item := range list.Items() {
		m, err := messageOf(item)
		if err != nil {
			return nil, columnError(column, fmt.Errorf("message %d: %w", i+1, err))
		}
		out = append(out, m)
	}
	return out, nil
}

// messageOf returns the message that an object is, with role and content or with
// from and value.
func messageOf(v value.Value) (row.Message, error) {
	if v.Kind() != value.Object {
		return row.Message{}, fmt.Errorf("it is %s, not an object", v.Kind())
	}
	role, hasRole := v.Get("role")
	from, hasFrom := v.Get("from")
	if hasFrom && (!hasRole || role.IsMissing()) {
		return fromValue(v, from)
	}
	if role.IsMissing() {
		return row.Message{}, errors.New(`it has no "role"`)
	}
	name, err := role.Text()
	if err != nil || name == "" {
		return row.Message{}, errors.New(`its "role" is not a text`)
	}
	if err := misspelt(name); err != nil {
		return row.Message{}, err
	}
	return checked(v)
}

// misspelt refuses the role of a person, of the model or of the system that has not
// the name that chat templates know: they would render it, and its turns would never
// count. Other roles are for the template to judge.
func misspelt(role string) error {
	lower := strings.ToLower(role)
	want := senders[lower]
	if lower == row.Developer || lower == row.Tool {
		want = lower
	}
	// A template may know the other names of tools' answers and calls.
	if want == "" || want == role || want == row.Tool && lower != row.Tool || lower == functionCall {
		return nil
	}
	return fmt.Errorf(`its "role" is %q; chat templates know that role as %q`, role, want)
}

// checked returns the message without keys that are missing, and with a content
// that is a text or a list of parts.
func checked(v value.Value) (row.Message, error) {
	var fields []value.Field
	for name, field := range v.Fields() {
		if field.IsMissing() {
			continue
		}
		if name == "content" {
			var err error
			if field, err = row.Content(field); err != nil {
				return row.Message{}, fmt.Errorf(`its "content": %w`, err)
			}
		}
		fields = append(fields, value.Field{Name: name, Value: field})
	}
	return row.MessageOf(value.OfObject(fields)), nil
}

// withoutMissingFields returns the record without the missing fields of nested
// objects.
func withoutMissingFields(r reader.Record) reader.Record {
	fields := make([]value.Field, len(r.Fields))
	for i, f := range r.Fields {
		fields[i] = value.Field{Name: f.Name, Value: withoutMissing(f.Value)}
	}
	r.Fields = fields
	return r
}

func withoutMissing(v value.Value) value.Value {
	switch v.Kind() {
	case value.List:
		items := make([]value.Value, 0, v.Len())
		for _, item := range v.Items() {
			items = append(items, withoutMissing(item))
		}
		return value.OfList(items)
	case value.Object:
		var fields []value.Field
		for name, field := range v.Fields() {
			if !field.IsMissing() {
				fields = append(fields, value.Field{Name: name, Value: withoutMissing(field)})
			}
		}
		return value.OfObject(fields)
	}
	return v
}
