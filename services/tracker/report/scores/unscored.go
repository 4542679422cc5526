package scores

import (
	"cmp"
	"slices"

	"github.com/tunebus/tunebus/pipeline/spec"
)

// Reason is a reason why rows have no score, with their number.
type Reason struct {
	Reason string `json:"reason"`
	Rows   int    `json:"rows"`
}

// maxReasons is how many different reasons of one metric are kept, because reasons
// may quote answers.
const maxReasons = 10

// noReason stands for rows of earlier versions, which recorded none, and otherReasons
// for those that are not kept.
const (
	noReason     = "no reason was recorded"
	otherReasons = "other reasons"
)

// unscoredRows counts rows by metric and reason.
type unscoredRows map[string]map[string]int

func (u unscoredRows) add(reasons map[string]string) {
	for name, why := range reasons {
		counts := u[name]
		if counts == nil {
			counts = make(map[string]int)
			u[name] = counts
		}
		if _, known := counts[why]; !known && len(counts) >= maxReasons {
			why = otherReasons
		}
		counts[why]++
	}
}

// of returns the reasons of the rows that lack a score, the most frequent first. A
// score that is not its metric's main one has the reasons of that.
func (u unscoredRows) of(score string, lacking int) []Reason {
	if lacking <= 0 {
		return nil
	}
	var out []Reason
	for why, n := range u[spec.MainScore(score)] {
		out = append(out, Reason{Reason: why, Rows: n})
		lacking -= n
	}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Reason, b.Reason))
	})
	if lacking > 0 {
		out = append(out, Reason{Reason: noReason, Rows: lacking})
	}
	return out
}
