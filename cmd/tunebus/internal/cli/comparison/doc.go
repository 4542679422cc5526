// Package comparison compares two runs: what they were made of, their losses and
// scores, and the answers to each row.
//
//	c, err := comparison.Of(ctx, a, b, comparison.Options{Store: store, Rows: 10})
//
// Rows are the same where their questions and truths are, wherever they stand in
// the data: the runs may have had different data, or the same in another order. The
// files of scores are read as streams; for each row some bytes are held.
package comparison
