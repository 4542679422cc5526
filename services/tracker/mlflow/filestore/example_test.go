package filestore_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/filestore"
	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// Every call can be repeated: the second round changes nothing.
func Example() {
	dir, err := os.MkdirTemp("", "mlruns-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	target, err := filestore.Open(&url.URL{Scheme: "file", Path: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		if err := write(context.Background(), target); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// weights.bin 5 bytes
	// weights.bin 5 bytes
}

func write(ctx context.Context, target mlflow.Target) error {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	experiment, err := target.EnsureExperiment(ctx, "nightly")
	if err != nil {
		return err
	}
	run, err := target.EnsureRun(ctx, experiment, mlflow.RunKey{RunID: "run7", Phase: "finetune"}, mlflow.Run{Name: "tune", StartTime: began})
	if err != nil {
		return err
	}
	if err := target.LogMetrics(ctx, run, []mlflow.Metric{{Key: "loss", Value: 0.5, Step: 10, Timestamp: began}}); err != nil {
		return err
	}
	if err := target.PutArtifact(ctx, run, mlflowtest.Content("weights.bin", "bytes")); err != nil {
		return err
	}
	stored, err := target.ListArtifacts(ctx, run, "")
	for _, a := range stored {
		fmt.Println(a.Path, a.Size, "bytes")
	}
	if err != nil {
		return err
	}
	return target.EndRun(ctx, run, mlflow.Finished, began.Add(time.Minute))
}
