// Package opscmd holds the commands of whoever operates a server: setup,
// doctor, archive and gc.
package opscmd
