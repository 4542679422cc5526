// Package worker is the worker that the three phases share. It takes a job,
// claims it with a started fact, lets an [Engine] do the work, and ends it
// with a completed fact and what follows from that.
//
// # Who owns a job
//
// Acknowledgements prove nothing; publishing does. The sequence of the
// attempt's started fact is its token, and the stream refuses the completed
// fact of an attempt whose token is no longer the newest. A worker that finds
// out that it lost drops what it stored and lets the message go in silence.
//
// # How work ends
//
//	the engine returned a result            completed, success
//	a permanent error, or tries used up     completed, failure
//	the time of the phase is over           completed, failure ("timeout")
//	another error                           attempt_ended (error), again after a backoff
//	somebody asked to cancel                completed, cancelled
//	the process stops                       attempt_ended (shutdown), given back at once
//	a newer attempt or a completed fact     attempt_ended (lost); what was stored is dropped
//
// What an error means is decided in one place, which a table test covers. Tries
// and crashes are counted in facts, the timeout from the first started fact,
// so they hold over all attempts and all workers. Shutdowns count as nothing.
//
// An engine that does not stop within half a second is not waited for: a
// phase that is cancelled or out of time is completed without it, and its slot
// takes no other job until the engine has stopped. At a shutdown it has half
// of the grace, for a last checkpoint; then its job is given back without it.
//
// # How work is taken over
//
// An attempt goes on from the newest checkpoint, if it verifies, else from the
// start. A worker that lost its job drops what it stored, but never the
// checkpoint that the next one goes on from. Of a metric's step the point that
// was announced first counts: the points of the attempts before stay, and
// steps that are repeated add none. A checkpoint that cannot be saved, while
// NATS is away, costs a later attempt work and this one nothing.
package worker
