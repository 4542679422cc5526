// Package opscmd holds the commands for operators of a server: setup,
// doctor, archive and gc.
package opscmd
