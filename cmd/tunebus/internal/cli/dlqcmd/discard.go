package dlqcmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deadletters"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
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
  tunebus dlq discard --all --run 01J9Z5Q6T3`,
		ValidArgsFunction: completeLetters(s, maxProposed),
		RunE: func(c *cobra.Command, args []string) error {
			return s.WithBus(func(ctx context.Context, b *conn.Conn, args []string) error {
				return discard(ctx, s.Console, b, f, args, c.InOrStdin())
			})(c, args)
		},
	}
	f.selection.addFlags(c)
	c.Flags().BoolVar(&f.force, "force", false, "do not ask")
	return c
}

// discard discards the chosen letters, after a person has confirmed it at in.
func discard(ctx context.Context, console *view.Console, b *conn.Conn, f discardFlags, args []string, in io.Reader) error {
	plan, err := f.selection.plan(ctx, b, args)
	if err != nil {
		return err
	}
	if len(plan) > 0 {
		what := fmt.Sprintf("discard %d dead letters of %s for good", len(plan), b.Server())
		if err := console.Confirm(in, what, "--force", f.force); err != nil {
			return err
		}
	}
	gone, failed := redrive.Discard(ctx, deadletter.New(b), plan)
	if err := console.Print(deadletters.Discarded(gone)); err != nil {
		return err
	}
	return failed
}
