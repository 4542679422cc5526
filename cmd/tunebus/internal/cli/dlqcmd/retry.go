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

// Retry is "tunebus dlq retry".
func Retry(s *session.Session) *cobra.Command {
	var f selectionFlags
	c := &cobra.Command{
		Use: "retry LETTER... | --all", Short: "Hand dead letters back",
		Example:           "  tunebus dlq retry 17",
		ValidArgsFunction: completeLetters(s, maxProposed),
		Long: `Hands each letter's message back, whole: a request as a new message on
pipeline.requested, a fact to the service that gave it up and to no other. The
letter goes when its message is stored. A message that is given up again leaves
a new letter.`,
		RunE: s.WithBus(func(ctx context.Context, b *conn.Conn, args []string) error {
			plan, err := f.plan(ctx, b, args)
			if err != nil {
				return err
			}
			results, failed := redrive.Run(ctx, deadletter.New(b), plan)
			if err := s.Console.Print(deadletters.Redriven(results)); err != nil {
				return err
			}
			return failed
		}),
	}
	f.addFlags(c)
	return c
}
