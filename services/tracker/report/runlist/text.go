package runlist

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// writeText writes one line of text for each run, in columns.
func writeText(w io.Writer, entries []Entry) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		if _, err := fmt.Fprintln(out, e.columns()); err != nil {
			return err
		}
	}
	return out.Flush()
}

// columns are the columns of one line, with tabs between them.
func (e Entry) columns() string {
	when, took := "-", "-"
	if !e.RequestedAt.IsZero() {
		when = e.RequestedAt.UTC().Format("2006-01-02 15:04:05Z")
	}
	if e.DurationSeconds > 0 {
		took = time.Duration(e.DurationSeconds * float64(time.Second)).Round(time.Second / 10).String()
	}
	return strings.Join([]string{
		oneLine(e.RunID), string(e.Status), cmp.Or(string(e.Phase), "-"), when, took, cmp.Or(oneLine(e.RunName), "-"), e.outcome(),
	}, "\t")
}

// outcome lists the scores with their gains over the base model, missed gates,
// failed phases and the error.
func (e Entry) outcome() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Scores)) {
		part := fmt.Sprintf("%s %.3f", name, e.Scores[name])
		if gain, ok := e.Gains[name]; ok {
			part += fmt.Sprintf(" (%+.3f)", gain)
		}
		parts = append(parts, part)
	}
	for _, gate := range e.MissedGates {
		parts = append(parts, "gate missed: "+gate)
	}
	for _, phase := range e.FailedPhases {
		parts = append(parts, "failed: "+string(phase))
	}
	if e.Error != "" {
		parts = append(parts, e.Error)
	}
	if len(parts) == 0 {
		return "-"
	}
	return shorten(oneLine(strings.Join(parts, ", ")), 300)
}

// oneLine drops line breaks and control characters, which would break a line
// or a terminal.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}), " ")
}

// shorten cuts a text to n characters; the last one is then "…".
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
