// Package builtin has what templates find beside their variables: the filters,
// tests and functions of Jinja2, those of transformers, and the attributes and
// methods of Python's values, as the immutable sandbox shows them.
package builtin

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// RaisedByTemplate is the kind of the error that raise_exception raises.
const RaisedByTemplate = "TemplateError"

// Env is what the filters, tests and functions of one rendering share.
type Env struct{ M *python.Meter }

// Undefined stands for what is not there; its use raises the message.
func Undefined(format string, args ...any) *python.Undefined {
	return &python.Undefined{Message: fmt.Sprintf(format, args...)}
}

// SetField gives a field of a namespace its value.
func SetField(ns *python.Namespace, name python.Value, v python.Value) {
	if s, ok := name.(string); ok && strings.HasPrefix(s, "_") {
		python.Raise("SecurityError", "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%s'", s)
	}
	ns.Fields.Set(name, v)
}
