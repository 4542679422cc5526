// Package snapshot reads everything that a pipeline leaves behind: streams,
// consumers, key-value buckets, artifacts, MLflow runs, reports and temporary
// files.
//
//	var s snapshot.State
//	err := errors.Join(
//		snapshot.ReadStreams(ctx, url, &s),
//		snapshot.ReadArtifacts(dir, &s),
//		snapshot.ReadMLflow(mlruns, &s),
//	)
//
// It uses its own NATS client and reads the files directly, because package
// audit checks the product's own readers with it.
package snapshot
