package pystr

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// splitting are the arguments of split and rsplit. sep is "" for white space.
func splitting(name string, a python.Args) (sep string, limit int) {
	given := a.Bind(name, 0, "sep", "maxsplit")
	if given[0] != python.Missing && given[0] != nil {
		if sep = text(name, given[0]); sep == "" {
			python.Raise("ValueError", "empty separator")
		}
	}
	limit = -1
	if given[1] != python.Missing {
		limit = int(max(-1, min(whole(name, given[1]), 1<<40)))
	}
	return sep, limit
}

// listOf is a list of texts.
func listOf(m *python.Meter, parts []string) *python.List {
	m.Alloc(32 * len(parts))
	out := make([]python.Value, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return &python.List{Items: out}
}

func split(m *python.Meter, s string, a python.Args) python.Value {
	sep, limit := splitting("split", a)
	if sep != "" {
		m.Alloc(32 * strings.Count(s, sep))
		if limit < 0 {
			return listOf(m, strings.Split(s, sep))
		}
		return listOf(m, strings.SplitN(s, sep, limit+1))
	}
	var parts []string
	for {
		s = strings.TrimLeftFunc(s, isSpace)
		if s == "" {
			return listOf(m, parts)
		}
		if len(parts) == limit {
			return listOf(m, append(parts, s)) // with the blanks at its end
		}
		i := strings.IndexFunc(s, isSpace)
		if i < 0 {
			i = len(s)
		}
		m.Alloc(32)
		parts = append(parts, s[:i])
		s = s[i:]
	}
}

func rsplit(m *python.Meter, s string, a python.Args) python.Value {
	sep, limit := splitting("rsplit", a)
	if limit < 0 {
		return split(m, s, a)
	}
	var parts []string
	for {
		i, n := strings.LastIndex(s, sep), len(sep)
		if sep == "" {
			s = strings.TrimRightFunc(s, isSpace)
			if s == "" {
				break
			}
			if i = strings.LastIndexFunc(s, isSpace); i >= 0 {
				n = size(s[i:])
			}
		}
		if i < 0 || len(parts) == limit {
			parts = append(parts, s)
			break
		}
		m.Alloc(32)
		parts = append(parts, s[i+n:])
		s = s[:i]
	}
	slices.Reverse(parts)
	return listOf(m, parts)
}

// size is the length of the first code point.
func size(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// lineBreaks are those of str.splitlines, beside \r\n.
const lineBreaks = "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029"

func splitlines(m *python.Meter, s string, a python.Args) python.Value {
	keep := a.Bind("splitlines", 0, "keepends")[0]
	return listOf(m, Lines(s, keep != python.Missing && python.Truthy(keep)))
}

// Lines is str.splitlines(keep).
func Lines(s string, keep bool) []string {
	var out []string
	for s != "" {
		i := strings.IndexAny(s, lineBreaks)
		if i < 0 {
			return append(out, s)
		}
		n := size(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:i+n])
		} else {
			out = append(out, s[:i])
		}
		s = s[i+n:]
	}
	return out
}
