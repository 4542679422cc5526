package completionapi

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// readMessages reads a conversation in the form in which data sets have it, so that a
// template sees what it saw in training: a list of parts that are texts is one text, and
// the arguments of a call are an object.
func readMessages(r *Request, raw json.RawMessage) error {
	all, err := value.FromJSON(raw)
	if err != nil || all.Kind() != value.List {
		return errors.New("want a list of messages, each with a role and a content")
	}
	if all.Len() == 0 {
		return errors.New("is empty; want at least one message")
	}
	var messages []row.Message
	var wrong []error
	for i, item := range all.Items() {
		m, err := message(item)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("message %d: %w", i+1, err))
			continue
		}
		messages = append(messages, m)
	}
	if len(wrong) > 0 { // one of them says enough, where thousands may be wrong
		if more := len(wrong) - 1; more > 0 {
			return fmt.Errorf("%w; and %d more messages have faults", wrong[0], more)
		}
		return wrong[0]
	}
	r.Messages = row.Conversation(messages)
	return nil
}

// message reads a message.
func message(object value.Value) (row.Message, error) {
	if object.Kind() != value.Object {
		return row.Message{}, fmt.Errorf("it is %s, and not an object", object.Kind())
	}
	role, _ := object.Get("role")
	if text, err := role.Text(); role.Kind() != value.Text || err != nil || text == "" {
		return row.Message{}, errors.New(`it has no role, such as "user"`)
	}
	var fields []value.Field
	for name, v := range object.Fields() {
		switch name {
		case "content":
			read, err := content(v)
			if err != nil {
				return row.Message{}, fmt.Errorf("content: %w", err)
			}
			v = read
		case "tool_calls":
			v = calls(v)
		}
		fields = append(fields, value.Field{Name: name, Value: v})
	}
	m := row.MessageOf(value.OfObject(fields))
	if !m.HasContent() {
		return m, errors.New("it has no content")
	}
	if len(m.Images()) > 0 {
		return m, errors.New("content: it has an image, and the built-in engine reads text alone")
	}
	return m.Flat(), nil
}

func content(v value.Value) (value.Value, error) {
	if v.IsMissing() {
		return v, nil
	}
	if v.Kind() != value.List && v.Kind() != value.Text {
		return v, fmt.Errorf("it is %s; want a text, or a list of parts", v.Kind())
	}
	return row.Content(v)
}

// calls are calls of tools whose arguments are objects, as templates want them; OpenAI's
// clients send them as the text of one.
func calls(v value.Value) value.Value {
	var out []value.Value
	for _, call := range v.Items() {
		out = append(out, replaced(call, "function", func(function value.Value) value.Value {
			return replaced(function, "arguments", func(arguments value.Value) value.Value {
				if text, err := arguments.Text(); arguments.Kind() == value.Text && err == nil {
					if object, err := value.FromJSON([]byte(text)); err == nil && object.Kind() == value.Object {
						return object
					}
				}
				return arguments
			})
		}))
	}
	if v.Kind() != value.List {
		return v
	}
	return value.OfList(out)
}

// replaced is an object with another value of a field.
func replaced(object value.Value, name string, by func(value.Value) value.Value) value.Value {
	if object.Kind() != value.Object {
		return object
	}
	var fields []value.Field
	for field, v := range object.Fields() {
		if field == name {
			v = by(v)
		}
		fields = append(fields, value.Field{Name: field, Value: v})
	}
	return value.OfObject(fields)
}
