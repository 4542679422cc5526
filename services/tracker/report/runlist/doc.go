// Package runlist keeps the list of all runs as two files: runs.json for
// programs, with one entry for each run, and runs.txt for people, with one line.
//
// Goroutines and processes may update one list at the same time: a lock on its
// folder lets them take turns, and readers always see complete files.
//
//	list := runlist.New("reports")
//	err := list.Update(ctx, runlist.EntryOf(run))
package runlist
