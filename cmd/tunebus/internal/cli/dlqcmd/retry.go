package dlqcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// Retry is "tunebus dlq retry".
func Retry(s *session.Session) *cobra.Command {
	var f selectionFlags
	c := &cobra.Command{
		Use: "retry LETTER... | --all", Short: "Hand dead letters back",
		Example:           "  tunebus dlq retry 17",
		ValidArgsFunction: completeLetters(s, &f.at, maxProposed),
		Long: `Hands each letter's message back, whole: a request as a new message on
pipeline.requested, a fact to the service that gave it up and to no other. The
letter goes when its message is stored. A message that is given up again leaves
a new letter.`,
		RunE: s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
			plan, err := f.plan(ctx, server, args)
			if err != nil {
				return err
			}
			results, failed := redrive.Run(ctx, deadletter.New(server.Bus), plan)
			if err := s.Console.Print(deadletters.Redriven(results)); err != nil {
				return err
			}
			if folder := server.Folder(); folder != "" && len(results) > 0 {
				s.Console.Say("no service works on %s; this goes on with what was handed over:\n  %s", server.Name(), s.CommandLine("up", "--data", folder))
			}
			return failed
		}),
	}
	f.addFlags(c)
	return c
}
