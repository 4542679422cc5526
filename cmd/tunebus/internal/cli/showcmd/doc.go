// Package showcmd holds the commands that show runs and change nothing: runs
// and show.
package showcmd
