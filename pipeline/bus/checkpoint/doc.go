// Package checkpoint registers the newest checkpoints of each job in the
// key-value bucket, so that the next attempt finds what it can resume from.
// The content of a checkpoint is an artifact; the registry holds references.
//
// Every write is a compare-and-set: an older attempt never replaces the entry
// of a newer one, and gets a [*SupersededError]. Losing the bucket costs work,
// never truth: the attempt then starts over.
//
//	cp, err := registry.Claim(ctx, run, phase, attempt)
//	if errors.Is(err, checkpoint.ErrNone) {
//		// start from zero
//	}
package checkpoint
