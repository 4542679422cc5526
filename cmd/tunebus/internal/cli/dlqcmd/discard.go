package dlqcmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

type discardFlags struct {
	selection selectionFlags
	force     bool
}

// Discard is "tunebus dlq discard".
func Discard(s *session.Session) *cobra.Command {
	var f discardFlags
	c := &cobra.Command{
		Use: "discard LETTER... | --all", Short: "Remove dead letters for good",
		Example: `  tunebus dlq discard 17
  tunebus dlq discard --all --run last`,
		ValidArgsFunction: completeLetters(s, &f.selection.at, maxProposed),
		RunE: func(c *cobra.Command, args []string) error {
			return s.WithDeployment(&f.selection.at, func(ctx context.Context, server *session.Deployment, args []string) error {
				return discard(ctx, s.Console, server, f, args, c.InOrStdin())
			})(c, args)
		},
	}
	f.selection.addFlags(c)
	c.Flags().BoolVar(&f.force, "force", false, "do not ask")
	return c
}

// discard discards the chosen letters, after a person has confirmed it at in.
func discard(ctx context.Context, console *view.Console, server *session.Deployment, f discardFlags, args []string, in io.Reader) error {
	plan, err := f.selection.plan(ctx, server, args)
	if err != nil {
		return err
	}
	if len(plan) > 0 {
		what := fmt.Sprintf("discard %d dead letters of %s for good", len(plan), server.Name())
		if err := console.Confirm(in, what, "--force", f.force); err != nil {
			return err
		}
	}
	gone, failed := redrive.Discard(ctx, deadletter.New(server.Bus), plan)
	if err := console.Print(deadletters.Discarded(gone)); err != nil {
		return err
	}
	return failed
}
