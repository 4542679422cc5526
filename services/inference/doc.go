// Package inference is the second phase: the tuned model answers the
// questions of the test set, and so does the base model where the run asks
// for a baseline.
package inference
