// Package replay submits past requests again, each as a new run with a new id,
// with overrides over their specifications.
//
// A [Replay] goes through the stream of requests twice. [Replay.Check] submits
// nothing: it finds the requests that are left out, with the reason, and the
// faults that the overrides bring into the others. Only then [Replay.Submit]
// submits, one request after the other. Both see the same requests, because
// [Replay.Bound] ended the span at the newest request of that time; the
// requests that Submit publishes are behind it.
//
// A request is left out if it cannot be read, if it is a replay itself, or if
// it was rejected. The latter two are taken where the [Selection] says so.
//
//	r := replay.Replay{Requests: requests, Facts: facts, Publisher: publisher, Intake: intake, Selection: selection}
//	if any, err := r.Bound(ctx); err != nil || !any { ... }
//	if err := r.Check(ctx, skipped); err != nil { ... }
//	err := r.Submit(ctx, nil, each)
package replay
