// Package trackertest tests the tracker with real servers and recorded runs: in
// each test the MLflow runs, the reports and the list of runs are the same in the
// end.
//
// The tests deliver facts out of order and twice, kill trackers between any two
// writes, let several trackers share the work, and replay runs.
package trackertest
