// Package journal publishes facts, each at most once, and answers only when it
// knows what the stream holds.
//
// [Journal.Publish] stores an event under a [Fence]. The server refuses an
// event whose subject is taken, or whose condition does not hold any more.
// A refusal, and a reply that got lost, are read back from the stream's leader
// before they are believed:
//
//	the stream holds             Publish returns
//	this event                   the stored message
//	another event there          [*FencedError] with the id of that event
//	what the fence excludes      [*FencedError]
//	neither                      nothing yet: it publishes again
//
// While the stream is full or out of reach it tries again, and logs that, until
// the context ends. [Journal.PublishNext] publishes what follows from a stored
// fact. [Journal.PublishMetric] sends a metric point that may get lost.
//
//	j := journal.New(c)
//	stored, err := j.Publish(ctx, completed, journal.FenceAttempt(phase, run, attempt))
//	if _, fenced := errors.AsType[*journal.FencedError](err); fenced {
//		return delivery.ErrOwnershipLost
//	}
//
// Its tests with a real server are in embedded/bustest.
package journal
