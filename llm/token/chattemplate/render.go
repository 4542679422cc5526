package chattemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/llm/token/jinja"
	"github.com/tunebus/tunebus/llm/token/jinja/pyjson"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Conversation is what a chat template renders. Values are what encoding/json
// makes, or json.RawMessage, in which objects keep the order of their keys.
type Conversation struct {
	// Messages is a list of objects with a role and usually a content.
	Messages any
	// Tools and Documents are lists, or nil where there are none.
	Tools, Documents any
	// AddGenerationPrompt asks for what comes before an answer at the end.
	AddGenerationPrompt bool
	// Template names one of several templates. Default: "tool_use" with tools
	// if there is such a one, and else "default".
	Template string
	// Variables are further ones, such as enable_thinking.
	Variables map[string]any
	// Now is the time that the template may ask for. Default: when the
	// templates were opened.
	Now time.Time
	// Limits bound the rendering.
	Limits jinja.Limits
}

// Rendering is a conversation as the model reads it.
type Rendering struct {
	Text string
	// Generated are the bytes, from and to, that the template marks as written
	// by the assistant, with {% generation %}.
	Generated [][2]int
}

// reserved are the variables that have fields of their own.
var reserved = []string{"messages", "tools", "documents", "add_generation_prompt"}

// Render renders a conversation. The error says what the template refuses, or
// which of its lines cannot be rendered.
func (t *Templates) Render(c Conversation) (Rendering, error) {
	template, in, _, err := t.input(c)
	if err != nil {
		return Rendering{}, err
	}
	out, err := template.Render(in)
	return Rendering(out), err
}

// input is what renders a conversation.
func (t *Templates) input(c Conversation) (*jinja.Template, jinja.Input, *python.List, error) {
	vars := map[string]python.Value{"add_generation_prompt": c.AddGenerationPrompt}
	for name, text := range t.tokens {
		vars[name] = text
	}
	var faults []error
	take := func(name, what string, v any) python.Value {
		if raw, ok := v.(json.RawMessage); ok && len(raw) == 0 {
			v = nil
		}
		value, err := pyjson.FromGo(v)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", what, err))
		}
		vars[name] = value
		return value
	}
	for name, v := range c.Variables {
		if slices.Contains(reserved, name) {
			faults = append(faults, fmt.Errorf("variable %s: it has the value of the conversation, and cannot be set", name))
			continue
		}
		take(name, "variable "+name, v)
	}
	tools := take("tools", "tools", c.Tools)
	documents := take("documents", "documents", c.Documents)
	for what, v := range map[string]python.Value{"tools": tools, "documents": documents} {
		if err := objects(what, v); v != nil && err != nil {
			faults = append(faults, err)
		}
	}
	messages, err := normalized(take("messages", "messages", c.Messages))
	if err != nil {
		faults = append(faults, err)
	}
	vars["messages"] = messages
	if err := errors.Join(faults...); err != nil {
		return nil, jinja.Input{}, nil, err
	}
	template, err := t.choose(c.Template, tools != nil)
	if err != nil {
		return nil, jinja.Input{}, nil, err
	}
	now := c.Now
	if now.IsZero() {
		now = t.opened
	}
	return template, jinja.Input{Variables: vars, Now: now, Limits: c.Limits}, messages, nil
}

// Messages are the messages of a conversation as a list, of which parts can be
// rendered again and again without reading them anew.
func Messages(v any) (*python.List, error) {
	value, err := pyjson.FromGo(v)
	if err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	if err := objects("messages", value); err != nil {
		return nil, err
	}
	list := value.(*python.List)
	if len(list.Items) == 0 {
		return nil, errNoMessages
	}
	return list, nil
}

var errNoMessages = errors.New("messages: the conversation has none")

// objects reports a value that is no list of objects.
func objects(what string, v python.Value) error {
	list, ok := v.(*python.List)
	if !ok {
		return fmt.Errorf("%s: a list is expected, not a value of type %s", what, python.TypeName(v))
	}
	for i, item := range list.Items {
		if _, ok := item.(*python.Dict); !ok {
			return fmt.Errorf("%s: number %d is no object, but a value of type %s", what, i+1, python.TypeName(item))
		}
	}
	return nil
}

// reasoningFields are the names of a message's reasoning. Templates read the
// first, and some the second.
var reasoningFields = []string{"reasoning_content", "thinking", "reasoning"}

// normalized are messages without their keys that are null, and with their
// reasoning under both of its names.
func normalized(v python.Value) (*python.List, error) {
	if err := objects("messages", v); err != nil {
		return nil, err
	}
	list := v.(*python.List)
	if len(list.Items) == 0 {
		return nil, errNoMessages
	}
	out := &python.List{Items: make([]python.Value, len(list.Items))}
	for i, item := range list.Items {
		out.Items[i] = normal(item.(*python.Dict))
	}
	return out, nil
}

func normal(message *python.Dict) *python.Dict {
	plain := python.NewDict()
	for i := range message.Len() {
		if k, v := message.At(i); v != nil {
			plain.Set(k, v)
		}
	}
	return aliased(plain)
}

func aliased(message *python.Dict) *python.Dict {
	for _, field := range reasoningFields {
		reasoning, ok := message.Get(field)
		if !ok {
			continue
		}
		out := python.DictOf("thinking", reasoning)
		for i := range message.Len() {
			out.Set(message.At(i))
		}
		out.Set("reasoning_content", reasoning)
		return out
	}
	return message
}
