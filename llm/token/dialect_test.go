package token

import (
	"strings"
	"testing"
)

// TestDialectLeavesTheRestAlone: what the engine reads as Jinja does stays as
// it is, whatever looks like a tag in texts and comments.
func TestDialectLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	for _, same := range []string{
		"", "no tags { { % } at all", "{{ 'a if b else c' }}", "{% for m in messages if m.role == 'user' %}{{ m }}{% endfor %}",
		"{{ x['if'] }} {{ elsewhere }} {{ x.if_else }}", "{{ [-1] }}{{ f(-1) }}{{ x[1:-1] }}", "{# a if b else c #}", "{{ \"}}\" }}", "{{ 'it\\'s }}' }}", "{{ open", "{% open 'text",
	} {
		if got := dialect(same); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
}

func FuzzDialect(f *testing.F) {
	for _, seed := range []string{
		"{{ a if b else c }}", "{% set x = (a if b) %}\n  {% if x[-1] %}y{% endif %}", "{{ {'a': b if c else d}[ -12 ] }}", "{%- for x in y if z -%} {{+ x +}} {#- #}", "{{ ((((", "{% set = if else %}", "{{ 'x\\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		got := dialect(source)
		if !strings.Contains(source, "{%") && !strings.Contains(source, "{{") && !strings.Contains(source, "{#") && got != source {
			t.Errorf("%q has no tags and became %q", source, got)
		}
	})
}
