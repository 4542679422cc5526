package dlqcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// Show is "tunebus dlq show".
func Show(s *session.Session) *cobra.Command {
	var at session.Location
	c := &cobra.Command{
		Use: "show LETTER", Short: "Show a dead letter: why, its headers and its body", Args: session.ExactlyOne("LETTER"),
		Example:           "  tunebus dlq show 17",
		ValidArgsFunction: completeLetters(s, &at, 1),
		RunE: session.WithReading(s, &at, func(ctx context.Context, server *session.Deployment, args []string) error {
			n, err := readNumber(args[0])
			if err != nil {
				return err
			}
			letter, err := redrive.Read(ctx, deadletter.New(server.Bus), n)
			if err != nil {
				return explain(err, server.Name())
			}
			return s.Console.Print(deadletters.Letter(letter))
		}),
	}
	at.AddDataFlag(c)
	return c
}
