package metric

import (
	"fmt"
	"maps"
	"slices"
)

// Aggregate computes the results of a suite from its samples: the mean of each
// key over the rows that have it, the corpus scores, and for how many rows each
// stands. It holds only sums and a few reasons, so its size does not depend on
// the number of rows.
type Aggregate struct {
	suite   Suite
	mains   []string // the keys of the main scores, by sample
	rows    int
	means   map[string]mean
	counts  [][]float64 // by metric, nil until a sample has counts
	counted []int       // rows with counts, by metric
	missing map[string]*reasons
	emptied []mean // main scores of the rows whose truth was emptied, by metric
	short   []int  // rows that are too short, by metric
	// unearned are the main scores of the rows whose answer has one without being right.
	unearned []mean
}

type mean struct {
	sum  float64
	rows int
}

func (m *mean) add(score float64) {
	m.sum += score
	m.rows++
}

// NewAggregate returns an empty Aggregate for the samples of a suite, and for
// samples behind those, such as a judge's, whose main keys are given.
func NewAggregate(suite Suite, more ...string) *Aggregate {
	return &Aggregate{
		suite:   suite,
		mains:   append(suite.Headlines(), more...),
		means:   make(map[string]mean),
		counts:  make([][]float64, len(suite)),
		counted: make([]int, len(suite)),
		missing: make(map[string]*reasons),
		emptied: make([]mean, len(suite)),
		short:   make([]int, len(suite)),

		unearned: make([]mean, len(suite)),
	}
}

// Add adds the samples of one row, in the suite's order. Samples after those of
// the suite, such as a judge's, contribute only to means. A missing sample means
// that the row has no score.
func (a *Aggregate) Add(samples []Sample) {
	a.rows++
	for i, sample := range samples {
		for key, score := range sample.Scores {
			m := a.means[key]
			m.add(score)
			a.means[key] = m
		}
		if i < len(a.mains) && sample.Missing != "" {
			a.reasonsOf(a.mains[i]).add(sample.Missing)
		}
		if i < len(a.suite) {
			a.addCounts(i, sample)
		}
	}
}

func (a *Aggregate) reasonsOf(key string) *reasons {
	if a.missing[key] == nil {
		a.missing[key] = &reasons{}
	}
	return a.missing[key]
}

func (a *Aggregate) addCounts(i int, sample Sample) {
	if main, ok := sample.Scores[a.mains[i]]; ok && sample.Emptied {
		a.emptied[i].add(main)
	}
	if sample.Unearned {
		a.unearned[i].add(sample.Scores[a.mains[i]])
	}
	if sample.Short {
		a.short[i]++
	}
	if sample.Counts == nil {
		return
	}
	a.counted[i]++
	if len(sample.Counts) > len(a.counts[i]) {
		a.counts[i] = append(a.counts[i], make([]float64, len(sample.Counts)-len(a.counts[i]))...)
	}
	for j, n := range sample.Counts {
		a.counts[i][j] += n
	}
}

// Rows is the number of rows added.
func (a *Aggregate) Rows() int { return a.rows }

// Result returns the means and the corpus scores by key. A key without a score in
// any row is missing.
func (a *Aggregate) Result() map[string]float64 {
	result := make(map[string]float64, len(a.means))
	for key, m := range a.means {
		result[key] = m.sum / float64(m.rows)
	}
	for i, m := range a.suite {
		corpus, ok := m.(Corpus)
		if !ok || a.counts[i] == nil {
			continue
		}
		maps.Copy(result, corpus.Corpus(a.counts[i]))
	}
	return result
}

// Scored returns for each key how many rows its result stands for. The main keys
// are there even if no row has a score.
func (a *Aggregate) Scored() map[string]int {
	scored := make(map[string]int, len(a.means))
	for _, key := range a.mains {
		scored[key] = 0
	}
	for key, m := range a.means {
		scored[key] = m.rows
	}
	for i, m := range a.suite {
		corpus, ok := m.(Corpus)
		if !ok || a.counts[i] == nil {
			continue
		}
		for key := range corpus.Corpus(a.counts[i]) {
			scored[key] = a.counted[i]
		}
	}
	return scored
}

// maxReasons is how many different reasons are kept, because reasons may quote
// answers.
const maxReasons = 5

// reasons counts rows by the reason why they have no score.
type reasons struct {
	rows   int
	counts map[string]int
	order  []string
}

func (r *reasons) add(text string) {
	r.rows++
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	if _, known := r.counts[text]; !known {
		if len(r.order) == maxReasons {
			return
		}
		r.order = append(r.order, text)
	}
	r.counts[text]++
}

// String lists the reasons, the most frequent first.
func (r *reasons) String() string {
	order := slices.Clone(r.order)
	slices.SortStableFunc(order, func(a, b string) int { return r.counts[b] - r.counts[a] })
	out, named := "", 0
	for i, text := range order {
		if i > 0 {
			out += "; "
		}
		out += text + " (" + countRows(r.counts[text]) + ")"
		named += r.counts[text]
	}
	if rest := r.rows - named; rest > 0 {
		out += "; other reasons (" + countRows(rest) + ")"
	}
	return out
}

func countRows(n int) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}
