// Package terminal is the one way from a command to a terminal, a file or a pipe.
//
// Names, labels and errors come from anybody who can reach NATS, and control
// characters in them could steer a terminal. So everything that a command writes
// goes through a [Writer], which escapes them, in results, lines, logs, bars and
// JSON alike. Only this package knows the terminal itself: the bars below the lines
// and the colours of [Green] are made here.
//
//	w := terminal.NewWriter(os.Stderr)
//	fmt.Fprintf(w, "run %s\n", name) // "\x1b" in the name becomes "\u001b"
package terminal

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// Marks around a text that is green where colours may be used. Elsewhere a writer
// leaves them out. They are no characters of any text.
const (
	Green = "\ufdd0"
	Plain = "\ufdd1"
)

// colours are the marks with what a terminal is told.
var colours = map[rune]string{'\ufdd0': "\x1b[32m", '\ufdd1': "\x1b[0m"}

// Writer writes text without control characters. It is safe for concurrent use.
type Writer struct {
	// Complete completes the sentences of the program, see [Writer.Sentences] and [Completed]; nil: nothing is
	// completed. It is set before the first write.
	Complete func(string) string

	mu sync.Mutex
	to io.Writer
	// screen is the terminal behind the writer, or nil.
	screen *screen
	// rest is the beginning of a character whose end is not written yet.
	rest    []byte
	err     error // of the first write that failed
	written bool
}

// Written reports whether anything was written.
func (w *Writer) Written() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written
}

// Err is the error of the first write that failed, such as to a full disk. What writes
// line by line need not look at each.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w, screen: screenOf(w)} }

// screen is a terminal that shows bars.
type screen struct {
	w    io.Writer
	size func() (width, height int, err error)
}

// screenOf returns the terminal that w is, or nil. A dumb terminal is none: it
// cannot write over what it shows.
func screenOf(w io.Writer) *screen {
	if s, ok := w.(Screen); ok {
		return &screen{w, func() (int, int, error) { return s.Width(), 24, nil }}
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{f, func() (int, int, error) { return term.GetSize(int(f.Fd())) }}
}

// Screen is a terminal that is no file, such as one of a test.
type Screen interface {
	io.Writer
	// Width is in characters.
	Width() int
}

// IsScreen reports whether a person sees on a terminal what is written.
func (w *Writer) IsScreen() bool { return w.screen != nil }

// IsSeen reports whether a person reads on a terminal what is written, be it a dumb one, where
// no bar can be shown.
func IsSeen(w *Writer) bool {
	f, ok := w.to.(*os.File)
	return w.IsScreen() || ok && term.IsTerminal(int(f.Fd()))
}

// SameFile reports whether two writers write to one file or pipe, so that whoever reads
// it reads both.
func SameFile(a, b *Writer) bool {
	first, ok := a.to.(*os.File)
	second, also := b.to.(*os.File)
	if !ok || !also {
		return false
	}
	one, err := first.Stat()
	if err != nil {
		return false
	}
	other, err := second.Stat()
	return err == nil && os.SameFile(one, other)
}

// Size is how many characters fit into a line of the terminal that w writes to, and
// how many lines it has; 0 and 0 if there is none.
func Size(w io.Writer) (width, height int) {
	t, ok := w.(*Writer)
	if !ok || t.screen == nil {
		return 0, 0
	}
	width, height, err := t.screen.size()
	if err != nil {
		return 0, 0
	}
	return width, height
}

// Clear clears the terminal that w writes to, if there is one. What is written next
// stands at its top.
func Clear(w io.Writer) {
	t, ok := w.(*Writer)
	if !ok || t.screen == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.screen.w, "\x1b[H\x1b[2J") // to a person's screen
}

// Colours reports whether text for w may have colours: w writes to a terminal, and
// the variable NO_COLOR is not set (https://no-color.org).
func Colours(w io.Writer) bool {
	t, ok := w.(*Writer)
	return ok && t.screen != nil && os.Getenv("NO_COLOR") == ""
}

// Completed is a sentence of the program for w, with the commands in it completed.
func Completed(w io.Writer, sentence string) string {
	if t, ok := w.(*Writer); ok && t.Complete != nil {
		return t.Complete(sentence)
	}
	return sentence
}

// Sentences returns a writer to w of the program's own sentences, such as help: the
// commands in each write are completed. What w itself is given is data, and stays.
func (w *Writer) Sentences() io.Writer { return sentences{w} }

type sentences struct{ w *Writer }

func (s sentences) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, Completed(s.w, string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = w.written || len(p) > 0
	text := p
	if len(w.rest) > 0 {
		text = append(w.rest, p...)
	}
	whole := len(text) - unfinished(text)
	w.rest = bytes.Clone(text[whole:])
	if whole == 0 {
		return len(p), nil
	}
	if _, err := w.to.Write(w.printable(text[:whole])); err != nil {
		w.err = cmp.Or(w.err, err)
		return 0, err
	}
	return len(p), nil
}

// unfinished is how many bytes at the end of a text begin a character that is not
// whole.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if last[0] >= utf8.RuneSelf && !utf8.FullRune(last) {
				return n
			}
			return 0
		}
	}
	return 0
}

// printable escapes a text and colours it. The caller holds the lock.
func (w *Writer) printable(text []byte) []byte {
	if isPlain(text) {
		return text
	}
	text = escaped(text)
	coloured := Colours(w)
	for mark, sequence := range colours {
		if !coloured {
			sequence = ""
		}
		text = bytes.ReplaceAll(text, []byte(string(mark)), []byte(sequence))
	}
	return text
}

// Return has the next line begin where a line begins: a terminal shows the "^C" of
// a person who interrupts a command.
func (w *Writer) Return() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.screen != nil {
		_, _ = io.WriteString(w.screen.w, "\r") // to a person's screen
	}
}

// Printable escapes the characters of a text that steer a terminal or mislead whoever
// reads it.
func Printable(text string) string {
	if strings.IndexFunc(text, steers) < 0 && utf8.ValidString(text) {
		return text
	}
	return string(escaped([]byte(text)))
}

// Inline is [Printable] for a text within a line: its ends of lines are escaped, too.
func Inline(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Printable(text))
}

// steers reports whether a character could steer a terminal, or is not seen and has
// a text read as what it is not: control characters, format characters and further
// ends of lines. The two that join letters belong to the texts of some languages.
// Inside a text of JSON the escape of such a character means the same.
func steers(r rune) bool {
	const noJoiner, joiner = '\u200c', '\u200d'
	switch {
	case r >= ' ' && r < 0x7f, r == '\n', r == '\t', r == noJoiner, r == joiner:
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// isPlain reports whether a text has nothing but letters, digits and signs of ASCII in
// lines, so that nothing of it is escaped or coloured. Long results are.
func isPlain(text []byte) bool {
	for _, c := range text {
		if (c < ' ' || c >= 0x7f) && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// escaped returns a text with its control characters escaped, and with the bytes
// that are no character.
func escaped(text []byte) []byte {
	if bytes.IndexFunc(text, steers) < 0 && utf8.Valid(text) {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
		case steers(r):
			for _, half := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, half)
			}
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}
