// Package generator is the engine that has a command of the worker's settings answer, such as
// transformers in a Python environment. The command speaks the protocol of
// docs/trainers.md, whose connection and processes are the work of pipeline/child.
//
//	e := generator.New(generator.Config{Command: []string{"python", "-m", "tunebus_trainer.generate"}})
//
// # One job
//
// Prompts are rendered and encoded as for the built-in engine, and written for the
// command (prompts.go). It appends the ids of its answers to a file, which is read
// while it works (session.go). Answers are kept as they come, by the package answers, so
// that a command or a worker that is killed costs one batch.
package generator
