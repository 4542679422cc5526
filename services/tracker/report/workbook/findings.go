package workbook

import (
	"cmp"
	"slices"

	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// kind is the reason why a row is in the error analysis.
type kind string

// The kinds, in the order of the sheet.
const (
	kindFailed  kind = "failed"
	kindEmpty   kind = "empty answer"
	kindNoScore kind = "no score"
	kindKeyFact kind = "key fact missing"
	kindWorse   kind = "worse than base model"
	kindLowest  kind = "lowest scores"
)

func kinds() []kind {
	return []kind{kindFailed, kindEmpty, kindNoScore, kindKeyFact, kindWorse, kindLowest}
}

// maxFindings is how many rows of one kind the sheet shows.
const maxFindings = 100

// finding is a row of the error analysis.
type finding struct {
	row    scores.Row
	score  float64 // see scores.Summary.RowScore
	scored bool
	gain   float64 // score minus the score of the base model; only for kindWorse
}

// findings are the rows of the error analysis, by kind.
type findings struct {
	shown map[kind][]finding
	total map[kind]int
}

func newFindings() *findings {
	return &findings{shown: make(map[kind][]finding), total: make(map[kind]int)}
}

// collect is called once for every row, and keeps the rows to show.
func (f *findings) collect(row scores.Row, s scores.Summary) {
	// The shortened row has the reasons for missing scores as its error.
	found := finding{row: shortenTexts(row)}
	found.score, found.scored = s.RowScore(row.Scores)
	switch {
	case row.Error != "":
		f.addFirst(kindFailed, found)
	case row.IsEmpty():
		f.addFirst(kindEmpty, found)
	}
	if len(row.Unscored)+len(row.BaselineUnscored) > 0 {
		f.addFirst(kindNoScore, found)
	}
	if row.MissesKeyFact() {
		f.addFirst(kindKeyFact, found)
	}
	if !found.scored {
		return
	}
	if base, ok := s.RowScore(row.BaselineScores); ok && found.score < base {
		found.gain = found.score - base
		f.addLowest(kindWorse, found, func(a, b finding) int { return cmp.Compare(a.gain, b.gain) })
	}
	// A row with a perfect score is never among the lowest.
	if found.score < 1 {
		f.addLowest(kindLowest, found, func(a, b finding) int { return cmp.Compare(a.score, b.score) })
	}
}

// addFirst keeps a row if it is among the first of its kind.
func (f *findings) addFirst(k kind, found finding) {
	f.total[k]++
	if len(f.shown[k]) < maxFindings {
		f.shown[k] = append(f.shown[k], found)
	}
}

// addLowest keeps the rows that are first in an order, and of equal rows the
// earlier ones.
func (f *findings) addLowest(k kind, found finding, order func(a, b finding) int) {
	f.total[k]++
	shown := f.shown[k]
	place, _ := slices.BinarySearchFunc(shown, found, func(a, b finding) int {
		if c := order(a, b); c != 0 {
			return c
		}
		return -1 // an equal row that came earlier stays before
	})
	if place == maxFindings {
		return
	}
	f.shown[k] = slices.Insert(shown, place, found)[:min(len(shown)+1, maxFindings)]
}
