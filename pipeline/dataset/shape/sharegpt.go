package shape

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// senders are the values of from in the data sets in the manner of ShareGPT, with
// the role of each.
var senders = map[string]string{
	"human": row.User, "user": row.User,
	"gpt": row.Assistant, "assistant": row.Assistant, "chatgpt": row.Assistant, "bing": row.Assistant, "bard": row.Assistant, "model": row.Assistant,
	"system": row.System,
	"tool":   row.Tool, "observation": row.Tool, "function_response": row.Tool,
	functionCall: row.Assistant,
}

// functionCall is the sender of a call: its value is the JSON of an object with name
// and arguments, or of a list of such.
const functionCall = "function_call"

// fromValue returns the message that an object with from and value is.
func fromValue(v, from value.Value) (row.Message, error) {
	sender, err := from.Text()
	if err != nil {
		return row.Message{}, fmt.Errorf(`its "from": %w`, err)
	}
	role, known := senders[strings.ToLower(sender)]
	if !known {
		return row.Message{}, fmt.Errorf(`its "from" is %q; want human, gpt, system, tool, function_call or observation`, sender)
	}
	content, _ := v.Get("value")
	fields := []value.Field{{Name: "role", Value: value.OfText(role)}}
	if strings.EqualFold(sender, functionCall) {
		calls, err := toolCalls(content)
		if err != nil {
			return row.Message{}, fmt.Errorf(`its "value": %w`, err)
		}
		fields = append(fields, value.Field{Name: "content", Value: value.OfText("")}, value.Field{Name: "tool_calls", Value: calls})
	} else {
		fields = append(fields, value.Field{Name: "content", Value: content})
	}
	for name, field := range v.Fields() {
		switch name {
		case "from", "value", "role", "content", "tool_calls":
		default:
			fields = append(fields, value.Field{Name: name, Value: field})
		}
	}
	return checked(value.OfObject(fields))
}

// toolCalls returns the calls that the value of a function_call is.
func toolCalls(v value.Value) (value.Value, error) {
	if s, err := v.Text(); err == nil && v.Kind() == value.Text {
		parsed, err := value.FromJSON([]byte(s))
		if err != nil {
			return value.Value{}, fmt.Errorf("a call of a function is JSON with name and arguments: %w", err)
		}
		v = parsed
	}
	if v.Kind() == value.Object {
		v = value.OfList([]value.Value{v})
	}
	var calls []value.Value
	for _, call := range v.Items() {
		if name, _ := call.Get("name"); name.Kind() != value.Text {
			return value.Value{}, errors.New("a call of a function has a name")
		}
		calls = append(calls, value.OfObject([]value.Field{
			{Name: "type", Value: value.OfText("function")}, {Name: "function", Value: call},
		}))
	}
	if len(calls) == 0 {
		return value.Value{}, errors.New("a call of a function is JSON with name and arguments")
	}
	return value.OfList(calls), nil
}
