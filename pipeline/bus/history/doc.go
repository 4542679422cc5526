// Package history reads what the streams hold of one run: its facts, folded or
// as they are stored, and the metric points of its phases. It also removes a
// run that was archived.
//
// A read of a run is one batched direct get of all its facts. It fails rather
// than returning a part. A fact that cannot be decoded is returned with the
// reason ([codec.Message].Unreadable); [Unreadable] collects the reasons.
//
//	h := history.New(c)
//	run, err := h.Run(ctx, id) // events.Fold over all facts
package history
