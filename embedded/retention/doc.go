// Package retention tests the packages archive and gc with a NATS server and an
// artifact store.
package retention
