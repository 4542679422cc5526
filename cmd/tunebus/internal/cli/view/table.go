package view

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
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
	rows := make([][]string, len(values))
	for i, v := range values {
		rows[i] = strings.Split(line(v), "\t")
	}
	_ = terminal.WriteTable(w, strings.Split(header, "\t"), rows) // to a person's screen
}

// Count writes a number and its noun, which has an "s" unless there is one.
func Count[N ~int | ~int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return events.Count(n) + " " + noun + "s"
}

// Have is the verb of a noun that is counted: has for one, have for others.
func Have(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// Took writes a span of time: seconds with one digit behind the point, and from a minute on
// two whole units.
func Took(seconds float64) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	if seconds < minute-0.05 {
		return fmt.Sprintf("%.1f s", max(0, seconds))
	}
	switch n := int64(math.Round(seconds)); {
	case n < hour:
		return fmt.Sprintf("%dm%02ds", n/minute, n%minute)
	case n < day:
		return fmt.Sprintf("%dh%02dm", n/hour, n%hour/minute)
	default:
		return fmt.Sprintf("%dd%02dh", n/day, n%day/hour)
	}
}

// Loss writes a loss, with four digits behind the point unless it is too small for them, or
// too large.
func Loss(loss float64) string {
	const small, large = 0.001, 1e9
	if size := math.Abs(loss); size != 0 && size < small || size >= large {
		return fmt.Sprintf("%.4g", loss)
	}
	return fmt.Sprintf("%.4f", loss)
}

// Words writes words one behind the other.
func Words[W ~string](words []W) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}

// ByteSize writes a number of bytes for people.
func ByteSize(n int64) string {
	const step = 1000
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= step && u < len(units)-1 {
		v, u = v/step, u+1
	}
	if u == 0 {
		return Count(n, "byte")
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}

// Printable escapes the control characters of a text that may come from any
// NATS client, because they could steer a terminal. What goes through a [Console]
// needs it only where the text is JSON, too.
func Printable(text string) string { return terminal.Printable(text) }

// Inline is Printable for a text within a line, such as a name: it ends no line.
func Inline(text string) string { return terminal.Inline(text) }

// Percent is how much of a total is done, rounded as the bars round it, from 0 to 100.
func Percent(done, total int64) int {
	const whole = 100
	if total <= 0 {
		return 0
	}
	return int(math.Round(whole * float64(min(max(done, 0), total)) / float64(total)))
}
