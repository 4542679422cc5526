// Package chaos holds the tests that kill: the real programs, as processes of
// their own, die at every named point and at any moment, and the audit looks
// at what they leave. It has no code of its own.
package chaos
