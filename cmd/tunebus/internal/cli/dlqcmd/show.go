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

// Show is "tunebus dlq show".
func Show(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "show LETTER", Short: "Show a dead letter: why, its headers and its body", Args: session.ExactlyOne("LETTER"),
		Example:           "  tunebus dlq show 17",
		ValidArgsFunction: completeLetters(s, 1),
		RunE: session.WithBusReading(s, func(ctx context.Context, b *conn.Conn, args []string) error {
			n, err := readNumber(args[0])
			if err != nil {
				return err
			}
			letter, err := redrive.Read(ctx, deadletter.New(b), n)
			if err != nil {
				return explain(err, b.Server())
			}
			return s.Console.Print(deadletters.Letter(letter))
		}),
	}
}
