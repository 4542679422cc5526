package dlqcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// List is "tunebus dlq list".
func List(s *session.Session) *cobra.Command {
	var f redrive.Filter
	c := &cobra.Command{
		Use: "list", Short: "List the dead letters", Args: session.NoArgs,
		Example: "  tunebus dlq list --run 01J9Z5Q6T3",
		RunE: session.WithBusReading(s, func(ctx context.Context, b *conn.Conn, _ []string) error {
			letters, err := redrive.List(ctx, deadletter.New(b), f)
			if err != nil {
				return err
			}
			return s.Console.Print(deadletters.List(letters))
		}),
	}
	addFilterFlags(c, &f)
	return c
}
