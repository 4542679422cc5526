// Package filestore is the MLflow target that writes MLflow's file layout, a
// folder such as ./mlruns that mlflow migrate-filestore moves into a database.
//
// # Atomicity
//
// Every file is written under a temporary name and renamed, and the meta.yaml
// of a run comes last, so readers see complete runs only. Nothing is synced to
// the disk: after a power cut the folder is written again.
//
// # Concurrency
//
// Ids follow from names and keys, so writers agree on them without a search. A
// lock on the folder of a run, or on the root for experiments, lets goroutines
// and processes take turns.
//
// The layout is ours because no Go library writes it. A golden file holds it,
// and MLflow itself reads that file in a test.
package filestore
