package metric

// Aggregate computes the results of a suite from its samples: the mean of each
// key over the rows that have it, and the corpus scores. It holds only sums, so
// its size does not depend on the number of rows.
type Aggregate struct {
	suite  Suite
	rows   int
	means  map[string]mean
	counts [][]float64 // by metric, nil until a sample has counts
}

type mean struct {
	sum  float64
	rows int
}

// NewAggregate returns an empty Aggregate for the samples of a suite.
func NewAggregate(suite Suite) *Aggregate {
	return &Aggregate{suite: suite, means: make(map[string]mean), counts: make([][]float64, len(suite))}
}

// Add adds the samples of one row, in the suite's order. Samples after those of
// the suite, such as a judge's, contribute only to means. A missing sample means
// that the row has no score.
func (a *Aggregate) Add(samples []Sample) {
	a.rows++
	for i, sample := range samples {
		for key, score := range sample.Scores {
			m := a.means[key]
			m.sum += score
			m.rows++
			a.means[key] = m
		}
		if i >= len(a.suite) {
			continue
		}
		if len(sample.Counts) > len(a.counts[i]) {
			a.counts[i] = append(a.counts[i], make([]float64, len(sample.Counts)-len(a.counts[i]))...)
		}
		for j, n := range sample.Counts {
			a.counts[i][j] += n
		}
	}
}

// Rows is the number of rows added.
func (a *Aggregate) Rows() int { return a.rows }

// Scored is the number of rows that have a score under this key. It is 0 for
// corpus scores.
func (a *Aggregate) Scored(key string) int { return a.means[key].rows }

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
		for key, score := range corpus.Corpus(a.counts[i]) {
			result[key] = score
		}
	}
	return result
}
