// Package conformance checks whether a command is a trainer as docs/trainers.md
// describes it. It starts the command on small jobs, in place of a worker.
//
//	ok := conformance.Check(ctx, conformance.Config{Command: command, Scratch: dir}, func(f conformance.Finding) {
//		…
//	})
//
// A checkpoint that a trainer saved is copied and answered, as a worker does it. What a
// trainer has to show is that its result does not depend on what happens to it: the
// result of every check is compared with that of the first one.
package conformance
