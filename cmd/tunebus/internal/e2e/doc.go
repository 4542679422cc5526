// Package e2e holds the tests of the pipeline as separate processes: the
// real programs, a NATS server of its own, and clients that know nothing of
// tunebus. It has no code of its own.
package e2e
