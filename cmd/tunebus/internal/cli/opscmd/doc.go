// Package opscmd holds the commands for operators of a server: setup,
// doctor, delete, archive and gc.
package opscmd
