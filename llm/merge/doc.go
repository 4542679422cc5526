// Package merge writes the weights of a checkpoint anew: with an adapter merged
// into them, as another type, or in several files.
//
// The weights are read and written a part of a tensor at a time, so that a
// model of any size takes some megabytes of memory. An adapter is merged as
// PEFT's merge_and_unload does: W + scale·B·A in float32, rounded to the type
// that is written.
//
//	written, err := merge.Write(ctx, merge.Options{From: "base", Adapter: "adapter", To: "merged"})
package merge
