package jinja_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/token/jinja"
	"github.com/tunebus/tunebus/llm/token/jinja/pyjson"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// reference is what testdata/expressions.py made with Jinja2 and transformers.
type reference struct {
	Variables json.RawMessage
	Cases     []struct {
		Source, Rendered, Error, Message string
	}
}

// variables are the values by their names.
func variables(t testing.TB, raw []byte) map[string]python.Value {
	t.Helper()
	v, err := pyjson.FromJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]python.Value{}
	d := v.(*python.Dict)
	for i := range d.Len() {
		k, v := d.At(i)
		out[k.(string)] = v
	}
	return out
}

// unsupported are the cases that Jinja renders and this engine refuses, with a
// part of the refusal. All others are equal.
var unsupported = map[string]string{
	`{{ 'abc'.encode('utf-8') }}`:               "encode",
	`{{ 1234.5 | round(-2) }}`:                  "rounding",
	`{{ 9223372036854775807 + 1 }}`:             "64 bits",
	`{{ 2 ** 64 }}`:                             "64 bits",
	`{{ 99999999999999999999 }}`:                "64 bits",
	`{% block b %}x{% endblock %}`:              `"block"`,
	`{% autoescape true %}x{% endautoescape %}`: `"autoescape"`,
	`{{ self }}`:                                `"self"`,
	`{{ '\N{BULLET}' }}`:                        "by name",
	`{{ s | pprint }}`:                          `"pprint"`,
	`{{ s | wordwrap(5) }}`:                     `"wordwrap"`,
	`{{ 'a'.translate({}) }}`:                   `"translate"`,
	`{{ (html | safe).upper() }}`:               "upper",
	`{{ n.real }}`:                              "real",
	`{{ f.is_integer() }}`:                      "is_integer",
	`{{ dict.fromkeys(['a']) }}`:                "dict.fromkeys",
}

// render reads and renders a template.
func render(source string, vars map[string]python.Value) (string, error) {
	tmpl, err := jinja.New(source)
	if err != nil {
		return "", err
	}
	out, err := tmpl.Render(jinja.Input{Variables: vars, Now: time.Date(2024, 3, 5, 9, 20, 0, 0, time.UTC)})
	return out.Text, err
}

// TestRendersAsJinja: each case is rendered as in Python, or fails where it
// fails there, or is refused with a sentence that names what is not supported.
func TestRendersAsJinja(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/expressions.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	if len(ref.Cases) < 500 {
		t.Fatalf("%d cases", len(ref.Cases))
	}
	refused := 0
	for _, c := range ref.Cases {
		got, err := render(c.Source, variables(t, ref.Variables))
		if want, ok := unsupported[c.Source]; ok {
			refused++
			if err == nil || want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, %v; want a refusal with %q", c.Source, got, err, want)
			}
			continue
		}
		switch {
		case c.Error != "" && err == nil:
			t.Errorf("%s: %q; Jinja has %s", c.Source, got, c.Error)
		case c.Error == "" && (err != nil || got != c.Rendered):
			t.Errorf("%s:\n%q, %v; want\n%q", c.Source, got, err, c.Rendered)
		case c.Message != "" && err.Error() != c.Message:
			t.Errorf("%s: %v; want %s", c.Source, err, c.Message)
		}
		var fault *jinja.Error
		if errors.As(err, &fault) && strings.HasPrefix(fault.Kind, "fault of") {
			t.Errorf("%s: %v", c.Source, err)
		}
	}
	t.Logf("%d cases, of which %d are refused though Jinja renders them", len(ref.Cases), refused)
}
