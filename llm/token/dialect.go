package token

import (
	"strconv"
	"strings"
)

// dialect rewrites what the template engine reads otherwise than Jinja does, or
// not at all:
//
//	A if C else B   →   ((C) and [A] or [B])[0]
//	X[-n]           →   X[::-1][n-1]
//
// The engine knows the first in an output of its own alone. A list of one
// element is true whatever the element is, so that the result is A or B as
// Jinja has it, and only the one that is chosen is computed. Of a list of n
// elements the engine finds no last but n-th.
//
// White space around blocks is dropped here, as trim_blocks and lstrip_blocks
// do it: a line break behind a block, and blanks before one that is the first
// of its line. The engine drops blanks in the middle of a line as well.
func dialect(source string) string {
	var b strings.Builder
	starts := true // whether source starts a line
	for {
		at, end := nextTag(source)
		if at < 0 {
			b.WriteString(source)
			return b.String()
		}
		kind := source[at+1]
		text, inside := source[:at], source[at+2:end-2]
		if kind != '{' && !strings.HasPrefix(inside, "+") {
			text = unindented(text, starts)
		}
		b.WriteString(text + source[at:at+2])
		if kind == '#' {
			b.WriteString(inside)
		} else {
			b.WriteString(tag(kind, inside))
		}
		b.WriteString(source[end-2 : end])
		source = source[end:]
		starts = false
		if kind != '{' && !strings.HasSuffix(inside, "+") {
			source, starts = strings.CutPrefix(source, "\n")
		}
	}
}

// unindented is a text without the blanks at its end, if nothing else stands
// before them in their line.
func unindented(text string, starts bool) string {
	line := strings.LastIndexByte(text, '\n') + 1
	if (line > 0 || starts) && strings.TrimSpace(text[line:]) == "" {
		return text[:line]
	}
	return text
}

// nextTag finds the next output, block or comment, and where it ends; -1
// without one, or with one that has no end, which the parser complains of.
func nextTag(source string) (at, end int) {
	for i := 0; i+1 < len(source); i++ {
		if source[i] != '{' || !strings.ContainsRune("{%#", rune(source[i+1])) {
			continue
		}
		if source[i+1] == '#' {
			j := strings.Index(source[i+2:], "#}")
			if j < 0 {
				return -1, -1
			}
			return i, i + 2 + j + 2
		}
		closing := map[byte]string{'{': "}}", '%': "%}"}[source[i+1]]
		depth := 0
		for j := i + 2; j < len(source); j = skip(source, j) {
			if depth == 0 && strings.HasPrefix(source[j:], closing) {
				return i, j + 2
			}
			depth += nesting(source[j])
		}
		return -1, -1
	}
	return -1, -1
}

// skip is the place behind the character or the quoted text at i.
func skip(s string, i int) int {
	if s[i] != '\'' && s[i] != '"' {
		return i + 1
	}
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case s[i]:
			return j + 1
		}
	}
	return len(s)
}

func nesting(c byte) int {
	switch c {
	case '(', '[', '{':
		return 1
	case ')', ']', '}':
		return -1
	}
	return 0
}

// tag rewrites what stands inside an output ('{') or a block ('%').
func tag(kind byte, s string) string {
	var before, after string
	if s != "" && strings.ContainsRune("-+", rune(s[0])) {
		before, s = s[:1], s[1:]
	}
	if s != "" && strings.ContainsRune("-+", rune(s[len(s)-1])) {
		s, after = s[:len(s)-1], s[len(s)-1:]
	}
	if kind == '{' {
		return before + expression(s) + after
	}
	word := s[:len(s)-len(strings.TrimLeft(s, " \t\r\n"))]
	rest := s[len(word):]
	n := 0
	for n < len(rest) && letter(rest[n]) {
		n++
	}
	name := rest[:n]
	word, rest = word+name, rest[n:]
	switch name {
	case "if", "elif":
		rest = expression(rest)
	case "set":
		if i := assignment(rest); i >= 0 {
			rest = rest[:i+1] + expression(rest[i+1:])
		}
	default: // "for x in y if z" means something else by its if
		rest = groups(rest)
	}
	return before + word + rest + after
}

func letter(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// assignment is where a "=" stands outside of brackets that is no part of a
// comparison; -1 without one.
func assignment(s string) int {
	depth := 0
	for i := 0; i < len(s); i = skip(s, i) {
		depth += nesting(s[i])
		if s[i] == '=' && depth == 0 && (i == 0 || !strings.ContainsRune("=!<>", rune(s[i-1]))) && (i+1 == len(s) || s[i+1] != '=') {
			return i
		}
	}
	return -1
}

// expression rewrites an expression that may be a conditional one.
func expression(s string) string {
	if i := keyword(s, "if"); i >= 0 {
		a, c, b := s[:i], s[i+2:], "''"
		if j := keyword(c, "else"); j >= 0 {
			c, b = c[:j], expression(c[j+4:])
		}
		return " ((" + groups(c) + ") and [" + groups(a) + "] or [" + b + "])[0] "
	}
	return groups(s)
}

// keyword is where a word stands outside of brackets and texts; -1 if it does
// not.
func keyword(s, word string) int {
	depth := 0
	for i := 0; i < len(s); i = skip(s, i) {
		depth += nesting(s[i])
		end := i + len(word)
		if depth == 0 && strings.HasPrefix(s[i:], word) && (i == 0 || !letter(s[i-1]) && s[i-1] != '.') && (end == len(s) || !letter(s[end])) {
			return i
		}
	}
	return -1
}

// groups rewrites what stands in the brackets of an expression.
func groups(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		next := skip(s, i)
		if nesting(s[i]) <= 0 {
			b.WriteString(s[i:next])
			i = next
			continue
		}
		depth, j := 1, next
		for ; j < len(s); j = skip(s, j) {
			if depth += nesting(s[j]); depth == 0 {
				break
			}
		}
		inside := s[next:min(j, len(s))]
		b.WriteByte(s[i])
		if n, err := strconv.Atoi(strings.TrimSpace(inside)); err == nil && n < 0 && s[i] == '[' && subscript(s[:i]) {
			b.WriteString("::-1][" + strconv.Itoa(-n-1))
		} else {
			b.WriteString(elements(inside))
		}
		i = j
		if i < len(s) {
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

// subscript reports whether a bracket behind s takes an element out of
// something, rather than being a list of its own.
func subscript(s string) bool {
	s = strings.TrimRight(s, " \t\r\n")
	return s != "" && (letter(s[len(s)-1]) || strings.ContainsRune(")]}'\"", rune(s[len(s)-1])))
}

// elements rewrites the elements of a list, a table or a call, each by
// itself.
func elements(s string) string {
	var b strings.Builder
	depth, from := 0, 0
	for i := 0; i < len(s); i = skip(s, i) {
		depth += nesting(s[i])
		if depth == 0 && (s[i] == ',' || s[i] == ':') {
			b.WriteString(element(s[from:i]) + s[i:i+1])
			from = i + 1
		}
	}
	b.WriteString(element(s[from:]))
	return b.String()
}

// element rewrites one of them, which may be name=value.
func element(s string) string {
	if i := assignment(s); i >= 0 {
		return s[:i+1] + expression(s[i+1:])
	}
	return expression(s)
}
