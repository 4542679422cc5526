package view

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/tunebus/tunebus/events"
)

// Section writes a table below an empty line; without values it writes
// nothing.
func Section[T any](w io.Writer, values []T, header string, line func(T) string) {
	if len(values) > 0 {
		fmt.Fprintln(w)
		Table(w, values, header, line)
	}
}

// Table writes a line for each value below a header. Tabs part the columns.
func Table[T any](w io.Writer, values []T, header string, line func(T) string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, v := range values {
		fmt.Fprintln(t, line(v))
	}
	_ = t.Flush() // to a person's screen
}

// Count writes a number and its noun, which has an "s" unless there is one.
func Count[N ~int | ~int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return events.Count(n) + " " + noun + "s"
}

// shorten fits a text into a line of a table.
func shorten(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// Printable escapes the control characters of a text that may come from any
// NATS client, because they could steer a terminal.
func Printable(text string) string {
	steers := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if steers(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
