// Package normal brings texts into the form that a vocabulary knows, as the normalizers of
// tokenizer.json say.
package normal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tunebus/tunebus/llm/token/pattern"
)

// Text is a text, and where each of its bytes, and its end, lies in the one that it was
// made of.
type Text struct {
	Bytes string
	At    []int
}

// Plain is a text that nothing has changed.
func Plain(text string) Text {
	at := make([]int, len(text)+1)
	for i := range at {
		at[i] = i
	}
	return Text{text, at}
}

// Slice is a part of a text.
func (t Text) Slice(from, to int) Text { return Text{t.Bytes[from:to], t.At[from : to+1]} }

// Step is one change of a text.
type Step interface{ Apply(Text) Text }

// writer makes a text of another.
type writer struct {
	of   Text
	text strings.Builder
	at   []int
}

// keep takes bytes as they are.
func (w *writer) keep(from, to int) {
	w.text.WriteString(w.of.Bytes[from:to])
	w.at = append(w.at, w.of.At[from:to]...)
}

// put writes what stands for a part that begins at from.
func (w *writer) put(what string, from int) {
	w.text.WriteString(what)
	for range len(what) {
		w.at = append(w.at, w.of.At[from])
	}
}

// done is the text.
func (w *writer) done() Text {
	return Text{w.text.String(), append(w.at, w.of.At[len(w.of.Bytes)])}
}

// Form is one of Unicode's normalization forms.
type Form norm.Form

// Apply implements [Step].
func (f Form) Apply(t Text) Text {
	form := norm.Form(f)
	if form.IsNormalString(t.Bytes) {
		return t
	}
	w := writer{of: t}
	var pieces norm.Iter
	pieces.InitString(form, t.Bytes)
	for from := 0; !pieces.Done(); {
		piece := string(pieces.Next())
		if to := pieces.Pos(); piece == t.Bytes[from:to] {
			w.keep(from, to)
		} else {
			w.put(piece, from)
		}
		from = pieces.Pos()
	}
	return w.done()
}

// Replace writes Content for each match of an expression.
type Replace struct {
	Pattern pattern.Splitter
	Content string
}

// Apply implements [Step].
func (r Replace) Apply(t Text) Text {
	w := writer{of: t}
	at := 0
	for _, m := range r.Pattern.Matches(t.Bytes) {
		if m[0] == m[1] {
			continue
		}
		w.keep(at, m[0])
		w.put(r.Content, m[0])
		at = m[1]
	}
	w.keep(at, len(t.Bytes))
	return w.done()
}

// Prepend puts its text before all that is not empty.
type Prepend string

// Apply implements [Step].
func (p Prepend) Apply(t Text) Text {
	if t.Bytes == "" {
		return t
	}
	w := writer{of: t}
	w.put(string(p), 0)
	w.keep(0, len(t.Bytes))
	return w.done()
}

// Lowercase has every character in lower case.
type Lowercase struct{}

// Apply implements [Step].
func (Lowercase) Apply(t Text) Text {
	w := writer{of: t}
	for i, r := range t.Bytes {
		size := utf8.RuneLen(r)
		if r == 'İ' { // the only one that becomes two
			w.put("i\u0307", i)
		} else if lower := unicode.ToLower(r); lower != r {
			w.put(string(lower), i)
		} else if strings.HasPrefix(t.Bytes[i:], string(r)) {
			w.keep(i, i+size)
		} else { // a byte that is no UTF-8
			w.keep(i, i+1)
		}
	}
	return w.done()
}

// Strip leaves out white space at the ends.
type Strip struct{ Left, Right bool }

// Apply implements [Step].
func (s Strip) Apply(t Text) Text {
	from, to := 0, len(t.Bytes)
	if s.Left {
		from = to - len(strings.TrimLeftFunc(t.Bytes, unicode.IsSpace))
	}
	if s.Right {
		to = from + len(strings.TrimRightFunc(t.Bytes[from:], unicode.IsSpace))
	}
	return t.Slice(from, to)
}
