package metric

import (
	"fmt"
	"maps"
	"slices"
)

// Notes say for each metric which rows have no main score, with the reasons, and
// where the reference implementation surprises: how many truths its normalisation
// emptied, if they change its mean, how many answers count as right without being it, and
// how many rows are too short for it.
func (a *Aggregate) Notes() []string {
	var notes []string
	for _, key := range slices.Sorted(maps.Keys(a.missing)) {
		why := a.missing[key]
		notes = append(notes, fmt.Sprintf("%s: %d of %d rows have no score: %s", key, why.rows, a.rows, why))
	}
	for i, m := range a.suite {
		notes = append(notes, a.emptiedNotes(i, m)...)
		notes = append(notes, a.unearnedNotes(i, m)...)
		notes = append(notes, a.shortNotes(i, m)...)
		if corpus, ok := m.(interface{ corpusNote(counts []float64) string }); ok && a.counts[i] != nil {
			if note := corpus.corpusNote(a.counts[i]); note != "" {
				notes = append(notes, m.Headline()+": "+note)
			}
		}
	}
	return notes
}

// emptiedNotes are about truths of which nothing is left, unless the mean would be the
// same without them.
func (a *Aggregate) emptiedNotes(i int, m Metric) []string {
	e, all := a.emptied[i], a.means[a.mains[i]]
	change := withoutRows(all, e)
	if e.rows == 0 || change == "" && e.rows < all.rows {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of %d ground truths are empty, by themselves or by the metric's own normalisation; their mean is %.4g, as the reference implementation has it%s",
		m.Headline(), e.rows, all.rows, e.sum/float64(e.rows), change)}
}

// unearnedNotes are about answers that count as right and are not, whatever they do to the
// mean: one that is empty is the last that a person takes for right.
func (a *Aggregate) unearnedNotes(i int, m Metric) []string {
	u, all := a.unearned[i], a.means[a.mains[i]]
	if u.rows == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of %d answers count as right although they are empty or another text than the ground truth, since the metric's own normalisation leaves nothing of both, "+
		"as the reference implementation has it; with 0 for them the mean would be %.4g instead of %.4g",
		m.Headline(), u.rows, all.rows, (all.sum-u.sum)/float64(all.rows), all.sum/float64(all.rows))}
}

// shortNotes are about rows that have 0 because they are too short for the metric, also
// where the answer equals the truth.
func (a *Aggregate) shortNotes(i int, m Metric) []string {
	s, ok := m.(interface {
		shortKey() string
		tooShort() string
	})
	n := a.short[i]
	if !ok || n == 0 {
		return nil
	}
	all := a.means[s.shortKey()]
	return []string{fmt.Sprintf("%s: %d of %d rows have the score 0 although their answer has words of its ground truth, since %s, as the reference implementation has it%s",
		s.shortKey(), n, all.rows, s.tooShort(), withoutRows(all, mean{rows: n}))}
}

// withoutRows says what a mean would be without some of its rows; empty if it would be
// the same, or if these are all.
func withoutRows(all, some mean) string {
	rest := all.rows - some.rows
	if rest == 0 {
		return ""
	}
	now, then := fmt.Sprintf("%.4g", all.sum/float64(all.rows)), fmt.Sprintf("%.4g", (all.sum-some.sum)/float64(rest))
	if now == then {
		return ""
	}
	return fmt.Sprintf("; without them the mean would be %s instead of %s", then, now)
}
