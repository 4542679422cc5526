// Package mlflow is the model of MLflow's tracking API: experiments, runs,
// parameters, metrics, tags, inputs and artifacts, and the interface [Target]
// of a store that takes them.
//
// There are two targets: mlflow/restapi talks to an MLflow server, and
// mlflow/filestore writes MLflow's file layout. Package mlflow/mlflowtest is
// the conformance suite of both.
//
//	target, err := restapi.Open(address, restapi.Options{Token: token})
//	...
//	experiment, err := target.EnsureExperiment(ctx, "nightly")
//	...
//	run, err := target.EnsureRun(ctx, experiment, mlflow.RunKey{RunID: id, Phase: "finetune"}, mlflow.Run{Name: "tune", StartTime: start})
//	...
//	err = target.LogMetrics(ctx, run, []mlflow.Metric{{Key: "loss", Value: 0.5, Step: 10, Timestamp: now}})
//
// # Idempotence
//
// Every call of a [Target] can be repeated with the same arguments and leaves
// the same result: a run is found again by its [RunKey], a parameter that
// exists is not written again, metric points are a set, tags and artifacts are
// overwritten. To bring MLflow up to date after a crash or a lost reply, a
// caller repeats all calls.
//
// # Names and values
//
// MLflow refuses some names and values, and changes others without an error.
// Both targets therefore normalize what they write (package mlflow/normalize).
//
// # Secrets
//
// Errors name the host of a server and never its address, a header or a user.
package mlflow
