// Package losshistory reads how the loss of a fine-tuning went, from the metric
// history of a phase that has ended and from the published points of one that goes
// on. However many steps there were, it holds a few hundred points.
//
//	curves, err := losshistory.Read(ctx, bus, store, run)
package losshistory
