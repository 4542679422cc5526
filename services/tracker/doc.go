// Package tracker projects the facts of every run onto MLflow, the reports
// and the list of runs.
//
// An event is a doorbell: the tracker reads all facts of its run, folds them,
// and says everything that follows from the fold to MLflow again. Every call
// may be repeated, so redelivery, disorder and replay are harmless, and
// everything that it writes can be thrown away and made anew.
package tracker
