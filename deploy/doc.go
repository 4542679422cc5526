// Package deploy holds the files that put tunebus into containers, and the
// tests that hold them to what the programs read.
package deploy
