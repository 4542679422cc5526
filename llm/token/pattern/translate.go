package pattern

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
)

// UnsupportedError says that an expression has something that Go's expressions do not
// know.
type UnsupportedError struct {
	// What it is, in words, and the part of the expression.
	What, Part string
}

func (e *UnsupportedError) Error() string { return fmt.Sprintf("%s, %q", e.What, e.Part) }

// blanks is the name of the group of `\s+(?!\S)|\s+`: a run of white space. If
// something follows it in the text, its last character does not belong to it, unless
// there is no other.
const blanks = "blanks"

// The kinds of items of an expression.
type kind int

const (
	atom       kind = iota // a character, a class of them, or a whole group that is one alternative
	opening                // the beginning of a group
	closing                // its end
	alternates             // |
	repeats                // such as *, +?, {1,3}
)

// item is a part of an expression, as Go writes it.
type item struct {
	kind kind
	text string
	// source is how the expression has it.
	source string
	// possessive says of a repetition that it never gives back what it took.
	possessive bool
}

// translate writes an expression of Oniguruma for Go. The error is an
// [*UnsupportedError] where Go has nothing that means the same.
func translate(expr string) (string, error) {
	l := &lexer{rest: expr}
	items, err := l.items()
	if err != nil {
		return "", err
	}
	if err := settlePossessive(items); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, it := range items {
		out.WriteString(it.text)
	}
	if _, err := syntax.Parse(out.String(), syntax.Perl); err != nil {
		part := expr
		if fault, ok := errors.AsType[*syntax.Error](err); ok && fault.Expr != "" {
			part = fault.Expr
		}
		return "", unsupported("", part)
	}
	return out.String(), nil
}

// unsupported names a part of an expression, and what it is if that is known.
func unsupported(what, part string) error {
	if what == "" {
		what = "a part that is unknown or too large"
	}
	return &UnsupportedError{what, part}
}

// settlePossessive makes ordinary repetitions of possessive ones where going back
// would change nothing, and refuses the others.
func settlePossessive(items []item) error {
	depth := 0
	for i, it := range items {
		switch it.kind {
		case opening:
			depth++
		case closing:
			depth--
		case repeats:
			if !it.possessive {
				continue
			}
			if i == 0 || items[i-1].kind != atom || depth > 0 || !givesNothingBack(items[i-1], items[i+1:]) {
				part := it.source
				if i > 0 {
					part = items[i-1].source + part
				}
				return unsupported("a possessive repetition", part)
			}
		}
	}
	return nil
}

// givesNothingBack reports whether the rest of an alternative never needs a character
// that a repetition of one took: because all of it may be empty, or because it begins
// with other characters.
func givesNothingBack(of item, rest []item) bool {
	for i := 0; ; i += 2 {
		if i >= len(rest) || rest[i].kind == alternates {
			return true
		}
		if rest[i].kind != atom {
			return false
		}
		if i+1 >= len(rest) || rest[i+1].kind != repeats || !maybeNone(rest[i+1].text) {
			return i == 0 && disjoint(of.text, rest[i].text)
		}
	}
}

// maybeNone reports whether a repetition may be empty.
func maybeNone(repetition string) bool {
	return strings.HasPrefix(repetition, "*") || strings.HasPrefix(repetition, "?") || strings.HasPrefix(repetition, "{0")
}

// disjoint reports whether no character matches both of two atoms.
func disjoint(a, b string) bool {
	one, ok := runes(a)
	other, ok2 := runes(b)
	if !ok || !ok2 {
		return false
	}
	for i := 0; i < len(one); i += 2 {
		for j := 0; j < len(other); j += 2 {
			if one[i] <= other[j+1] && other[j] <= one[i+1] {
				return false
			}
		}
	}
	return true
}

// runes are the ranges of characters that an atom matches.
func runes(text string) ([]rune, bool) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, false
	}
	switch {
	case re.Op == syntax.OpCharClass:
		return re.Rune, true
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1 && re.Flags&syntax.FoldCase == 0:
		return []rune{re.Rune[0], re.Rune[0]}, true
	}
	return nil, false
}
