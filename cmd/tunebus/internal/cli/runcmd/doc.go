// Package runcmd holds the commands that start, follow and cancel runs: run,
// up, submit, watch and cancel.
package runcmd
