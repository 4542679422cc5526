// Package trainer is the engine that has a command of the worker's settings train. The
// command speaks the protocol of docs/trainers.md, whose connection and processes are
// the work of pipeline/child.
//
//	e := trainer.New(trainer.Config{Name: "command", Command: []string{"python3", "trainer.py"}})
//
// # One job
//
// Rows are prepared as for the built-in engine, and written in the order of the job
// file (rows.go). The trainer starts (engine.go). Its messages become steps, notes and
// checkpoints of the job (session.go, checkpoints.go), and its description says
// which keys it honours (package honoured). When it has ended, its result is read and stored
// (result.go), or the reason is said (failure.go).
//
// A trainer that ends with its job is killed unless the worker shuts down: then it is
// told to stop, and killed when the time for a last checkpoint is over.
package trainer
