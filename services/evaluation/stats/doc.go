// Package stats computes statistics of scores: summaries, histograms, bootstrap
// confidence intervals, and paired comparisons of two models.
//
//	s := stats.Summarize(scores)
//	in := stats.MeanInterval(scores, stats.Options{Seed: 1})
//	c, err := stats.Compare(baseline, model, stats.Options{Seed: 1})
//
// NaN stands for a row without a score and does not count. Random draws come from
// a seed: the same values in the same order with the same seed give the same
// bits, so that a report can be repeated. Go's statistics libraries have neither
// the bootstrap nor the randomisation test with that property.
package stats
