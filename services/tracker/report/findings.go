package report

import (
	"cmp"
	"slices"
)

// kind is why a row deserves a look.
type kind string

// The kinds, in the order in which they are shown.
const (
	kindFailed  kind = "failed"
	kindEmpty   kind = "empty answer"
	kindKeyFact kind = "key fact missing"
	kindWorse   kind = "worse than base model"
	kindLowest  kind = "lowest scores"
)

func kinds() []kind { return []kind{kindFailed, kindEmpty, kindKeyFact, kindWorse, kindLowest} }

// mostFindings is how many rows of one kind are shown.
const mostFindings = 100

// finding is a row of the error analysis.
type finding struct {
	row    Row
	score  float64 // the row's, see Summary.rowScore
	scored bool
	gain   float64 // score less the base model's; only of kindWorse
}

// findings are the rows that deserve a look, by kind.
type findings struct {
	shown map[kind][]finding
	total map[kind]int
}

// collect keeps the rows that deserve a look, called once for every row.
func (f *findings) collect(row Row, s Summary) {
	row = row.cut()
	at := finding{row: row}
	at.score, at.scored = s.rowScore(row.Scores)
	switch {
	case row.Error != "":
		f.first(kindFailed, at)
	case row.isEmpty():
		f.first(kindEmpty, at)
	}
	if row.missesKeyFact() {
		f.first(kindKeyFact, at)
	}
	if !at.scored {
		return
	}
	if base, ok := s.rowScore(row.BaselineScores); ok && at.score < base {
		at.gain = at.score - base
		f.lowest(kindWorse, at, func(a, b finding) int { return cmp.Compare(a.gain, b.gain) })
	}
	// Perfect rows are nobody's lowest.
	if at.score < 1 {
		f.lowest(kindLowest, at, func(a, b finding) int { return cmp.Compare(a.score, b.score) })
	}
}

// first keeps a row if it is among the first of its kind.
func (f *findings) first(k kind, at finding) {
	f.total[k]++
	if len(f.shown[k]) < mostFindings {
		f.shown[k] = append(f.shown[k], at)
	}
}

// lowest keeps the rows that order puts first, earlier rows before later ones.
func (f *findings) lowest(k kind, at finding, order func(a, b finding) int) {
	f.total[k]++
	shown := f.shown[k]
	place, _ := slices.BinarySearchFunc(shown, at, func(a, b finding) int {
		if c := order(a, b); c != 0 {
			return c
		}
		return -1 // an equal row that came earlier stays before
	})
	if place == mostFindings {
		return
	}
	f.shown[k] = slices.Insert(shown, place, at)[:min(len(shown)+1, mostFindings)]
}

// newFindings is ready for collect.
func newFindings() *findings {
	return &findings{shown: make(map[kind][]finding), total: make(map[kind]int)}
}
