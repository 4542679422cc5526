// Package worker takes the jobs of one phase from a queue, has an engine do the
// work, and publishes how each job ends. The three phases share it.
//
//	w := worker.New(conn, store, engine, worker.Config{Phase: events.Finetune})
//	router.Add(w.Route())
//
// A job goes through five steps, each in a file of its own: an attempt at it is
// made (worker.go), which claims it (claim.go) and executes it (execute.go) while
// the worker checks that it still owns the job (ownership.go), and which is
// finished (finish.go). How an engine is written is in pipeline/engine.
//
// # Who owns a job
//
// An acknowledgement proves nothing; a published fact does. The sequence of the
// attempt's started fact is its fencing token. The stream refuses the completed
// fact of an attempt behind which another one has started. A worker that lost
// its job deletes what it stored and sends the server nothing about the
// message, because an ack or a nak would act on the new owner's delivery.
//
// # How work ends
//
//	the engine returned a result            completed, success
//	a permanent error, or tries used up     completed, failure
//	the phase's timeout has passed          completed, failure ("timeout")
//	another error                           attempt_ended (error), retried after a backoff
//	a cancel was requested                  completed, cancelled
//	the process stops                       attempt_ended (shutdown), redelivered at once
//	a newer attempt or a completed fact     attempt_ended (lost); what was stored is deleted
//	no progress for too long                attempt_ended (lost, "stalled"), redelivered after the ack wait
//
// pipeline/retry alone decides what an error means; a table test covers it.
// Tries and crashes are counted in facts, and the timeout runs from the first
// started fact, so they hold over all attempts and all workers. Shutdowns count
// against nothing.
//
// A heartbeat vouches for progress. Package progress watches each job, from its
// delivery to its end, on a goroutine of its own; stall.go says what follows
// from a stall. A stalled job keeps its slot until its engine has returned.
//
// An engine that does not stop within half a second is not waited for. A
// cancelled or overdue phase is completed without it; its slot takes no other
// job until the engine has returned. At a shutdown the engine has half of the
// grace, for a last checkpoint; then its job is redelivered without it.
//
// # How a job is taken over
//
// An attempt resumes from the newest checkpoint that verifies, else from the
// start; see pipeline/checkpointing. A worker that lost its job deletes what it
// stored, except the checkpoints that the new owner may resume from. Steps that
// are repeated add no metric points; see pipeline/metrics.
//
// # Tests
//
// The tests here run one part alone, against fakes of the interfaces in
// interfaces.go.
// Workers on a real server are tested in cmd/tunebus/internal/standalone, and
// through embedded/workertest.
package worker
