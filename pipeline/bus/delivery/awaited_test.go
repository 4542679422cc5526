package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestAwaited: the log sends nobody to create a consumer that NATS did not miss.
func TestAwaited(t *testing.T) {
	t.Parallel()
	for says, err := range map[string]error{
		`"tunebus setup" creates it`: fmt.Errorf("consumer: %w", jetstream.ErrConsumerNotFound),
		"may not ask":                &conn.DeniedError{Op: conn.ConsumerInfo, Err: errors.New("no")},
		"for NATS to answer":         &conn.NoReplyError{Op: conn.ConsumerInfo},
	} {
		if got := awaited(err); !strings.Contains(got, says) {
			t.Errorf("%v: %q, want %q", err, got, says)
		}
	}
}
