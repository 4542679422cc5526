package checkpointing

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// ElectionTime is longer than the election of a leader takes. In a cluster the
// registry may have no leader while the stream of facts has one.
const ElectionTime = 30 * time.Second

// AskAgain repeats a request to the registry that fails, for so long. The job of
// ctx announces that it waits.
func AskAgain(ctx context.Context, patience time.Duration, request func() error) error {
	deadline := time.Now().Add(patience)
	err := request()
	if err == nil {
		return nil
	}
	defer progress.Wait(ctx, awaited(err), 0).End() // the requests have limits of their own
	for err != nil && time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
			err = request()
		}
	}
	return err
}

// awaited is what a request waits for that failed.
func awaited(err error) string {
	if bucket, ok := checkpoint.MissingBucket(err); ok {
		return "the bucket " + bucket + `, which is missing on the server; "tunebus setup" creates it`
	}
	return "NATS to answer about the checkpoints"
}
