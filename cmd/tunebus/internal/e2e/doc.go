// Package e2e holds the tests of the pipeline as separate processes: the real
// programs, a NATS server, and plain NATS clients. It has no code outside its tests.
package e2e
