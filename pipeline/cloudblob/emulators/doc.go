// Package emulators holds the drivers of Google's and Azure's object stores to
// the rules of every artifact store, against servers that speak their
// protocols. It is a module of its own, since the servers are far larger than
// the drivers.
package emulators
