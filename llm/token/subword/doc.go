// Package subword turns words into the tokens of a vocabulary: by merging pairs, or by the
// way of the best score.
//
// # Concurrency
//
// A model may be used by any number of goroutines at once.
package subword
