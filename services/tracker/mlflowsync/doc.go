// Package mlflowsync brings MLflow up to date with one pipeline run: it writes
// the parent run, the runs of the phases, their metric histories and their
// artifacts.
//
// A [Syncer] writes everything that a snapshot of the run implies, each time.
// Because all calls of an mlflow.Target are idempotent, a sync can be repeated
// after a crash or an error. One writer at a time should sync a run.
//
//	syncer := mlflowsync.New(mlflowsync.Config{TrackingURI: "file:./mlruns"}, store, metrics)
//	result, err := syncer.Sync(ctx, projection.FromFacts(facts), files)
//
// An error means that a later sync may succeed; it matches
// mlflow.ErrUnavailable if MLflow cannot be reached. Things that MLflow will
// never take are no error but [Result.Gaps].
package mlflowsync
