// Package embedded runs a NATS server with JetStream inside the process, for
// people who have no cluster yet and for tests. Its data folder belongs to
// one process at a time; a lock holds that, because two servers on one store
// corrupt it in silence.
package embedded
