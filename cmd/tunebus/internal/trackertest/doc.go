// Package trackertest tests the tracker with real servers and recorded runs: the
// MLflow runs, the reports and the list of runs are the same in the end,
// whatever happens on the way.
//
// Facts arrive out of order or twice, trackers are killed between any two
// writes, several trackers share the work, and runs are replayed.
package trackertest
