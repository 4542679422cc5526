// Package processes is what tests of the real programs share: it builds them,
// starts them as processes of their own, and sees to it that none outlives its
// test. Nothing but tests imports it.
package processes
