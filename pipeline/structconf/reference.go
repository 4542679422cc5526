package structconf

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Reference writes a valid file with each key of the sections, its default and a
// comment. A key without a default is empty. remark, if it is not nil, returns what the comment of a key says beside
// its documentation.
func Reference(w io.Writer, sections any, remark func(Key) string) error {
	return ReferenceOf(w, Keys(sections), remark)
}

// ReferenceOf is [Reference] for some keys.
func ReferenceOf(w io.Writer, keys []Key, remark func(Key) string) error {
	var b strings.Builder
	section := ""
	for _, k := range keys {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n[%s]\n", section)
		}
		doc := k.Doc
		if len(k.Allowed) > 0 {
			doc += " (" + strings.Join(withNull(k.Allowed), ", ") + ")"
		}
		if k.Env != "" {
			doc += "; also $" + k.Env
		}
		if remark != nil {
			if text := remark(k); text != "" {
				doc += "; " + text
			}
		}
		fmt.Fprintf(&b, "%s = %s # %s\n", k.Name, literal(k), doc)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// withNull returns the allowed values with [Null] for no value.
func withNull(allowed []string) []string {
	out := make([]string, len(allowed))
	for i, a := range allowed {
		if a == "" {
			a = Null
		}
		out[i] = a
	}
	return out
}

// literal returns the default of a key in TOML.
func literal(k Key) string {
	switch {
	case k.Type == "list of texts" || strings.Contains(k.Default, ","):
		if k.Default == "" {
			return "[]"
		}
		var parts []string
		for p := range strings.SplitSeq(k.Default, ",") {
			parts = append(parts, strconv.Quote(p))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case k.Type == "table of numbers" || k.Type == "table of values":
		return "{}"
	case k.Type == "text" && (k.Default == "true" || k.Default == "false"):
		return k.Default
	case k.Type == "text" || k.Type == "duration":
		return strconv.Quote(k.Default)
	default:
		return k.Default
	}
}
