// Package docs holds the tests of the manual: every command in it is run. It
// has no code of its own.
package docs
