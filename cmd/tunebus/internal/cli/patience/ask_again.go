package patience

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// AskAgain repeats the reading of a command that got no answer from NATS, and says so. The
// requests wait longer each time, so that a slow server can answer. Nothing was shown before.
func AskAgain(ctx context.Context, console *view.Console, b *conn.Conn, read func() error) error {
	const (
		tries = 3
		pause = 3 * time.Second // an election takes a few
	)
	for try := 1; ; try++ {
		err := read()
		if try == tries || ctx.Err() != nil || !conn.IsUnanswered(err) || conn.IsDenied(err) {
			return err
		}
		if conn.IsNoLeader(err) { // which is said at once
			console.Say("NATS at %s cannot answer now; asking again in %s: %v", b.Server(), pause, err)
			select {
			case <-ctx.Done():
				return err
			case <-time.After(pause):
			}
			continue
		}
		console.Say("NATS at %s does not answer; asking again, and waiting longer: %v", b.Server(), err)
	}
}
