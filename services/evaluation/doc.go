// Package evaluation is the evaluation phase: its engine scores the model's
// answers against the ground truth, and the base model's answers too where the
// run has them.
//
// It reads the answers as a stream and writes one line of scores for each row,
// so that its memory does not grow with the data. Rows flow through a window: many
// are worked on at once, and come out in their order.
//
// A row without a score of a metric has the reason in its line. What a score
// stands for, the rows that have it, is in the result beside it. A metric that
// cannot be computed has no score, and a note gives the reason; the evaluation
// does not fail.
package evaluation
