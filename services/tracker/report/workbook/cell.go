package workbook

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// maxCell is the limit of a cell, in UTF-16 units.
const maxCell = 32767

// cellText makes a text that fits into a cell: valid UTF-8, without characters
// that XML cannot represent, and cut with "…" if it is too long.
func cellText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD"))
	if len(s) <= maxCell { // bytes are never fewer than units
		return s
	}
	units, at := 0, 0 // a cut at byte at leaves room for the ellipsis
	for i, r := range s {
		if units <= maxCell-1 {
			at = i
		}
		units++
		if r > 0xFFFF {
			units++
		}
	}
	if units <= maxCell {
		return s
	}
	return s[:at] + "…"
}

// shortenTexts cuts the texts of a row to the part that a cell shows.
func shortenTexts(r scores.Row) scores.Row {
	r.Question, r.KeyFact = cellText(r.Question), cellText(r.KeyFact)
	r.GroundTruth, r.References = cellText(groundTruth(r)), nil
	r.Answer, r.BaselineAnswer = cellText(r.Answer), cellText(r.BaselineAnswer)
	r.Error = cellText(cmp.Or(r.Error, r.WhyUnscored()))
	r.Unscored, r.BaselineUnscored = nil, nil
	return r
}

// shorten cuts a text to n characters; the last one is then "…".
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
