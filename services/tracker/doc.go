// Package tracker is the service that keeps MLflow, the report files and the
// list of runs up to date with the facts of every run.
//
// It is a reconciler: a fact on the stream is only a wake-up. The tracker reads
// all facts of the run, computes what MLflow and the reports should hold
// (package projection), and writes all of it. Every write is idempotent, so
// redelivery, disorder and replay are harmless, and everything that the tracker
// writes can be deleted and written again.
//
// A run is reconciled in these steps, each a type of its own:
//
//   - duequeue.Queue says which run is to be reconciled, and when.
//   - runLeases keeps two trackers from writing one run at the same time.
//   - reconciler reads the facts, has everything written, and decides what
//     follows.
//   - runWriter writes the reports, the entry in the list of runs, and MLflow
//     (package mlflowsync).
//   - completionPublisher publishes tracking.completed when the run has ended.
//
// Beside that, runIndexer keeps the lines up to date that "tunebus runs" lists
// (package runindex).
//
// The metric points of running phases go to MLflow on a shorter way, see
// package livemetrics.
//
//	t := tracker.New(connection, store, tracker.Config{TrackingURI: "file:./mlruns", Reports: "reports"})
//	for _, route := range t.Routes() {
//		router.Add(route)
//	}
//	err := t.Run(ctx) // beside router.Run
//
// If a tracker dies, the next one finds the runs without tracking.completed in
// the stream. The tests with real servers are in
// cmd/tunebus/internal/trackertest.
package tracker
