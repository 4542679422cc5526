package jinja_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja"
)

// FuzzRender: whatever a template says, it ends within its bounds with a text
// or an error, and never with a fault of this engine.
func FuzzRender(f *testing.F) {
	raw, err := os.ReadFile("testdata/expressions.json")
	if err != nil {
		f.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(raw, &ref); err != nil {
		f.Fatal(err)
	}
	for _, c := range ref.Cases {
		f.Add(c.Source)
	}
	files, err := filepath.Glob("../chattemplate/testdata/templates/*.jinja")
	if err != nil || len(files) == 0 {
		f.Fatal(err, len(files))
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	for _, seed := range endless {
		f.Add(seed)
	}
	vars := variables(f, ref.Variables)
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := jinja.New(source)
		if err != nil {
			if strings.Contains(err.Error(), "fault of the template engine") {
				t.Error(err)
			}
			return
		}
		out, err := tmpl.Render(jinja.Input{Variables: vars, Now: time.Unix(0, 0).UTC(), Limits: jinja.Limits{Steps: 200_000, Bytes: 8 << 20, Output: 1 << 20}})
		var fault *jinja.Error
		switch {
		case errors.As(err, &fault):
			if strings.HasPrefix(fault.Kind, "fault of") {
				t.Error(err)
			}
		case err != nil:
			if !errors.Is(err, jinja.ErrLimit) {
				t.Error(err)
			}
		case len(out.Text) > 1<<20:
			t.Errorf("%d bytes of output", len(out.Text))
		case utf8.ValidString(source) && !utf8.ValidString(out.Text):
			t.Errorf("the output is not UTF-8: %q", out.Text)
		}
	})
}

// endless are templates that would take for ever, or all memory, or all of the
// stack.
var endless = []string{
	"{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
	"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
	"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
	"{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}",
	"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
	"{{ 'x' * 999999999999 }}",
	"{{ [0] * 999999999999 }}",
	"{{ ('x' * 1000000).replace('x', 'y' * 1000000) }}",
	"{{ ('x' * 1000000).split('x') | join('y' * 1000000) }}",
	"{{ ('\\n' * 1000000) | indent(1000000) }}",
	"{{ 'x'.center(999999999999) }}{{ '%999999999999d' % 1 }}",
	"{{ '%.999999999f' % 1 }}{{ '{:999999999}'.format(1) }}",
	"{{ '\\t'.expandtabs(999999999999) }}{{ '1'.zfill(9999999999) }}",
	"{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
	"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
	"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
	"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x[0], ns.x[1]] }}",
	"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
	"{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
	"{% set ns = namespace(x=()) %}{% for i in range(99999) %}{% set ns.x = (ns.x,) %}{% endfor %}{{ {ns.x: 1} }}",
	"{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = ns.x | map('string') %}{% endfor %}{{ ns.x | list }}",
	"{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = ns.x | unique %}{% endfor %}{{ ns.x | list }}",
	"{% set ns = namespace() %}{% set ns.ns = ns %}{{ ns }}",
	"{{ [1, 2] | batch(999999999999, 0) | list }}{{ [1, 2] | slice(999999999999) | list }}",
	"{{ ([1] * 100000) | sort | unique | list | tojson(indent=1000) }}",
	"{{ range(0, 1099511627776, 99999999) | list }}",
}

// TestEndlessTemplatesEnd: each ends with an error that names a bound; the
// first with the bounds that count unless others are given.
func TestEndlessTemplatesEnd(t *testing.T) {
	t.Parallel()
	for i, source := range endless {
		tmpl, err := jinja.New(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		var limits jinja.Limits
		if i > 0 {
			limits = jinja.Limits{Steps: 1_000_000, Bytes: 32 << 20}
		}
		if _, err = tmpl.Render(jinja.Input{Limits: limits}); err == nil {
			continue // some are cheap after all
		}
		var fault *jinja.Error
		if !errors.Is(err, jinja.ErrLimit) && !errors.As(err, &fault) {
			t.Errorf("%s: %v", source, err)
		}
		if strings.Contains(err.Error(), "fault of the template engine") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// TestManyVariables: a scope of many variables finds each of them.
func TestManyVariables(t *testing.T) {
	t.Parallel()
	var source, want strings.Builder
	for i := range 40 {
		fmt.Fprintf(&source, "{%% set v%d = %d %%}{%% set v%d = v%d + 1 %%}", i, i, i, i)
	}
	for i := range 40 {
		fmt.Fprintf(&source, "{{ v%d }},", i)
		fmt.Fprintf(&want, "%d,", i+1)
	}
	if got, err := render(source.String()+"{{ none_such is defined }}", nil); err != nil || got != want.String()+"False" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNestingIsBounded: no source exhausts the stack.
func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for _, source := range []string{
		"{{ " + strings.Repeat("(", n), "{{ " + strings.Repeat("[", n), "{{ " + strings.Repeat("{1:", n), "{{ " + strings.Repeat("-", n) + "1 }}",
		"{{ " + strings.Repeat("not ", n) + "1 }}", "{{ 1" + strings.Repeat(" + 1", n) + " }}", "{{ 1" + strings.Repeat(" ** 1", n) + " }}", "{{ 1" + strings.Repeat(" or 1", n) + " }}",
		"{{ x" + strings.Repeat(".x", n) + " }}", "{{ x" + strings.Repeat("()", n) + " }}", "{{ x" + strings.Repeat("|e", n) + " }}", "{{ x" + strings.Repeat(" is x", n) + " }}",
		strings.Repeat("{% if 1 %}", n), strings.Repeat("{% for x in y %}", n), "{% if 1 %}" + strings.Repeat("{% elif 1 %}", n) + "{% endif %}",
		"{% set " + strings.Repeat("(", n) + " = 1 %}", "{{ 1" + strings.Repeat(" if 1 else 1", n) + " }}", "{% filter e" + strings.Repeat("|e", n) + " %}{% endfilter %}",
		"{{ 1" + strings.Repeat(" if 1", n) + " }}",
	} {
		if _, err := render(source, nil); err == nil {
			t.Errorf("%.40s…: no error", source)
		}
	}
	if _, err := jinja.New(strings.Repeat(" ", 5<<20)); err == nil {
		t.Error("a template of 5 MiB is read")
	}
}
