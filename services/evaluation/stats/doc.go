// Package stats says what a report says about scores: their distribution, how
// sure their mean is, and whether two models differ.
//
// Everywhere NaN stands for a row without a score and does not count. What is
// drawn at random is drawn from a seed, so that a report can be repeated; the
// same values in the same order with the same seed give the same bits.
package stats
