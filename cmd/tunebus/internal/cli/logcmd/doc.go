// Package logcmd holds the command that shows the log of a run: what its attempts
// logged, and between those lines what its facts say of them, so that a run without
// a line has a log as well.
package logcmd
