// Package docs tests the manual: it runs every command that the manual shows,
// and checks the links. It has no code of its own.
package docs
