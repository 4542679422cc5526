package checkpointing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// TestAskAgainSaysWhatItWaitsFor: a bucket that somebody deleted is no server that does not
// answer.
func TestAskAgainSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		`the bucket tunebus_checkpoints, which is missing on the server; "tunebus setup" creates it`: fmt.Errorf("checkpoint a: %w", &conn.MissingBucketError{Bucket: "tunebus_checkpoints"}),
		"NATS to answer about the checkpoints":                                                       errors.New("no reply"),
	} {
		synctest.Test(t, func(t *testing.T) {
			m := progress.New(progress.Limits{}, progress.Fetch)
			var waits []string
			stop := m.Watch(progress.Callbacks{OnWaiting: func(what string) { waits = append(waits, what) }})
			err := checkpointing.AskAgain(progress.With(context.Background(), m), time.Minute, func() error { return cause })
			stop()
			if !errors.Is(err, cause) || len(waits) == 0 || waits[0] != want {
				t.Errorf("%v, waits for %q, want %q", err, waits, want)
			}
		})
	}
}
