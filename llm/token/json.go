package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// toJSON is the filter tojson as the transformers library has it: Python's
// separators, nothing escaped for HTML, characters beyond ASCII as they are.
// Keys come sorted, since the maps of the template engine keep no order.
func toJSON(_ *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	indent := 0
	if v, ok := args.KwArgs["indent"]; ok && v.IsInteger() {
		indent = v.Integer()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent > 0 {
		enc.SetIndent("", strings.Repeat(" ", indent))
	}
	if err := enc.Encode(in.ToGoSimpleType(false)); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if indent == 0 {
		out = spaced(out)
	}
	return exec.AsSafeValue(string(out))
}

// spaced puts a blank behind the commas and colons of compact JSON, outside
// of its strings.
func spaced(in []byte) []byte {
	out := make([]byte, 0, len(in)+len(in)/8)
	quoted, escaped := false, false
	for _, c := range in {
		out = append(out, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}
