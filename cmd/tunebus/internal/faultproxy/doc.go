// Package faultproxy holds the tests that lose one message: all services work
// behind proxies that understand the protocol of NATS, and one connection breaks
// at one message, which the server has got or not. The audit looks at what is
// left. It has no code of its own.
package faultproxy
