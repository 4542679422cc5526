package workbook

import (
	"cmp"
	"strings"
	"unicode"
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

// isCut reports whether a text does not fit into a cell.
func isCut(s string) bool {
	if len(s) <= maxCell {
		return false
	}
	units := 0
	for _, r := range s {
		if units++; r > 0xFFFF {
			units++
		}
	}
	return units > maxCell
}

// The height of a row: so many lines are shown at most, each so many points high.
const (
	maxLines   = 15
	lineHeight = 15
)

// linesOf estimates how many lines a text takes in a column so many characters wide,
// at most maxLines+1.
func linesOf(text string, width float64) int {
	perLine := max(1, int(width)-2)
	lines, column := 1, 0
	for _, r := range text {
		wide := 1
		if r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			wide = 2
		}
		if column += wide; r == '\n' || column > perLine {
			lines, column = lines+1, 0
			if r != '\n' {
				column = wide
			}
		}
		if lines > maxLines {
			break
		}
	}
	return lines
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
