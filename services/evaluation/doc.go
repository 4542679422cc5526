// Package evaluation is the last phase: it scores the answers of inference
// against the truth, and the base model's answers too where there are any.
//
// It reads predictions as a stream and writes one line of scores for each
// row, so that its memory does not grow with the data. A metric that cannot
// be computed costs that metric, with a note; never the evaluation.
package evaluation
