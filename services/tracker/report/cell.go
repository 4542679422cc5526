package report

import (
	"strings"
	"unicode/utf8"
)

// maxCell is how many UTF-16 units a cell holds.
const maxCell = 32767

// cellText makes a text that a cell can hold: valid, without characters that
// XML has no form for, and cut with "…" where it is too long.
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
	units, at := 0, 0 // at is where a cut leaves room for the ellipsis
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

// cut shortens a row's texts to what is shown of them.
func (r Row) cut() Row {
	r.Question, r.GroundTruth, r.KeyFact = cellText(r.Question), cellText(r.GroundTruth), cellText(r.KeyFact)
	r.Answer, r.BaselineAnswer, r.Error = cellText(r.Answer), cellText(r.BaselineAnswer), cellText(r.Error)
	return r
}

// shorten cuts a text for a title or a log line.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
