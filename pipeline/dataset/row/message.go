package row

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// The roles that this package knows. A template may know more.
const (
	System    = "system"
	Developer = "developer" // the system prompt of newer models
	User      = "user"
	Assistant = "assistant"
	Tool      = "tool"
)

// Message is one turn of a conversation. It never changes.
type Message struct {
	role   string
	object value.Value
}

// NewMessage returns a message with a text.
func NewMessage(role, text string) Message {
	return Message{role: role, object: value.OfObject([]value.Field{
		{Name: "role", Value: value.OfText(role)},
		{Name: "content", Value: value.OfText(text)},
	})}
}

// MessageOf returns the message that an object with a role is.
func MessageOf(object value.Value) Message {
	role, _ := object.Get("role")
	text, _ := role.Text()
	return Message{role: text, object: object}
}

// Role is who speaks.
func (m Message) Role() string { return m.role }

// Value is the whole message, with keys in the order of the file: role, content,
// which is a text, a list of parts or missing, and what else it has, such as name,
// tool_calls, tool_call_id or reasoning_content.
func (m Message) Value() value.Value { return m.object }

// MarshalJSON implements json.Marshaler.
func (m Message) MarshalJSON() ([]byte, error) { return m.object.AppendJSON(nil), nil }

// Text returns the text of the content, of which parts are joined. ok is false if
// there is no content, or parts without a text.
func (m Message) Text() (text string, ok bool) {
	content, _ := m.object.Get("content")
	if content.Kind() != value.List {
		text, err := content.Text()
		return text, err == nil
	}
	var all strings.Builder
	for _, part := range content.Items() {
		if t, has := partText(part); has {
			all.WriteString(t)
			ok = true
		}
	}
	return all.String(), ok
}

// Flat returns the message with its text instead of a list of parts, if all parts
// are texts: most templates of text models know no parts.
func (m Message) Flat() Message {
	content, _ := m.object.Get("content")
	if content.Kind() != value.List || content.Len() == 0 {
		return m
	}
	for _, part := range content.Items() {
		if _, ok := partText(part); !ok {
			return m
		}
	}
	text, _ := m.Text()
	return m.withContent(value.OfText(text))
}

// HasContent reports whether the message says something: a text, which may be empty,
// parts, calls of tools, or reasoning.
func (m Message) HasContent() bool {
	for _, key := range []string{"content", "tool_calls", "function_call", "reasoning_content", "thinking", "reasoning"} {
		if v, _ := m.object.Get(key); !v.IsMissing() && (v.Kind() != value.List || v.Len() > 0) {
			return true
		}
	}
	return false
}

// IsSystem reports whether the message is a system prompt.
func (m Message) IsSystem() bool { return m.role == System || m.role == Developer }

// Images returns the positions of the parts of the content that are images.
func (m Message) Images() []int {
	content, _ := m.object.Get("content")
	var at []int
	for i, part := range content.Items() {
		kind, _ := part.Get("type")
		if text, err := kind.Text(); err == nil && isImageType(text) {
			at = append(at, i)
		}
	}
	return at
}

// WithoutImages returns the message with its text alone, if it has images.
func (m Message) WithoutImages() Message {
	if len(m.Images()) == 0 {
		return m
	}
	text, _ := m.Text()
	return m.withContent(value.OfText(text))
}

// isImageType reports whether parts of a type hold an image, or a place for one.
func isImageType(name string) bool { return slices.Contains(imageTypes, name) }

// imageTypes are the types of parts with an image: of the libraries of Hugging Face,
// and of both of OpenAI's APIs.
var imageTypes = []string{"image", "image_url", "input_image"}

// WithParts returns the message with another list of parts.
func (m Message) WithParts(parts []value.Value) Message {
	return m.withContent(value.OfList(parts))
}

// Calls reports whether the message calls tools.
func (m Message) Calls() bool {
	calls, _ := m.object.Get("tool_calls")
	return calls.Len() > 0
}

// Called are the names of the functions that the message calls.
func (m Message) Called() (names []string) {
	add := func(function value.Value) {
		name, _ := function.Get("name")
		if text, err := name.Text(); err == nil && text != "" {
			names = append(names, text)
		}
	}
	calls, _ := m.object.Get("tool_calls")
	for _, call := range calls.Items() {
		if f, nested := call.Get("function"); nested {
			call = f
		}
		add(call)
	}
	if older, ok := m.object.Get("function_call"); ok {
		add(older)
	}
	return names
}

// SaysNothing reports whether a message is there and empty: it has no text, calls no
// tools and has no reasoning.
func SaysNothing(m Message) bool {
	text, _ := m.Text()
	return strings.TrimSpace(text) == "" && len(m.Called()) == 0 && m.Reasoning() == ""
}

// Reasoning is the text of a field of the message for what was thought before it; empty
// if it has none.
func (m Message) Reasoning() string {
	for _, key := range []string{"reasoning_content", "reasoning", "thinking"} {
		v, _ := m.object.Get(key)
		if text, err := v.Text(); v.Kind() == value.Text && err == nil && text != "" {
			return text
		}
	}
	return ""
}

// IsUnweighted reports whether the message itself says that it does not count in
// the loss: "weight": 0, as in OpenAI's format for fine-tuning.
func (m Message) IsUnweighted() bool {
	weight, _ := m.object.Get("weight")
	text, err := weight.Text()
	return err == nil && (text == "0" || text == "0.0")
}

// withContent returns the message with another content.
func (m Message) withContent(v value.Value) Message {
	const key = "content"
	var fields []value.Field
	found := false
	for name, old := range m.object.Fields() {
		if name == key {
			old, found = v, true
		}
		fields = append(fields, value.Field{Name: name, Value: old})
	}
	if !found {
		fields = append(fields, value.Field{Name: key, Value: v})
	}
	return Message{role: m.role, object: value.OfObject(fields)}
}

// partText is the text of a part of a content: a text, or {"type": "text", "text": …}.
func partText(part value.Value) (string, bool) {
	if part.Kind() == value.Text {
		text, err := part.Text()
		return text, err == nil
	}
	text, ok := part.Get("text")
	if !ok || text.Kind() != value.Text {
		return "", false
	}
	s, err := text.Text()
	return s, err == nil
}
