package patience

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// AskAgain repeats the reading of a command that got no answer from NATS, and says so. The
// requests wait longer each time, so that a slow server can answer. Nothing was shown before.
func AskAgain(ctx context.Context, console *view.Console, b *conn.Conn, read func() error) error {
	const tries = 3
	for try := 1; ; try++ {
		err := read()
		if silent, ok := errors.AsType[*conn.NoReplyError](err); ok && silent.Denied != nil { // it will not answer
			return err
		}
		if try == tries || ctx.Err() != nil || !conn.IsUnanswered(err) {
			return err
		}
		console.Say("NATS at %s does not answer; asking again, and waiting longer: %v", b.Server(), err)
	}
}
