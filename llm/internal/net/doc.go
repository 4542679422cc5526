// Package net computes the networks of the engine: [Trainer] their losses and
// gradients, [Decoder] the next token. Weights belong to the caller, who gives them
// as slices of a [Network]; package optimizer changes them.
//
// Work is divided among goroutines, each of which has some of the rows, or of
// the columns, of what is computed. They meet where one needs what another has
// computed. No sum is divided, so that the bits do not depend on their number,
// see package kernel.
//
// Buffers are made when they are needed first and used again: a step that is no
// larger than the ones before it allocates nothing.
package net
