// Package phase is the worker that the three phases share. It takes a job,
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
//	the engine returned a result          completed, success
//	a permanent error, or tries used up   completed, failure
//	another error                         attempt_ended (error), again after a backoff
//	somebody asked to cancel              completed, cancelled
//	the process stops                     attempt_ended (shutdown), given back at once
//	a newer attempt or a completed fact   nothing; what was stored is dropped
package phase
