package dlqcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// List is "tunebus dlq list".
func List(s *session.Session) *cobra.Command {
	var f redrive.Filter
	var at session.Location
	c := &cobra.Command{
		Use: "list", Short: "List the dead letters", Args: session.NoArgs,
		Example: "  tunebus dlq list\n  tunebus dlq list --run last",
		RunE: session.WithReading(s, &at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			var err error
			if f.Run, err = idOf(ctx, server, f.Run); err != nil {
				return err
			}
			letters, err := redrive.List(ctx, deadletter.New(server.Bus), f)
			if err != nil {
				return err
			}
			return s.Console.Print(deadletters.List(letters))
		}),
	}
	at.AddDataFlag(c)
	addFilterFlags(c, &f)
	return c
}
