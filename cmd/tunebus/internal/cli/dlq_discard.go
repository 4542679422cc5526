package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
)

func (a *app) dlqDiscardCommand() *cobra.Command {
	var ch chosen
	var force bool
	c := &cobra.Command{
		Use: "discard LETTER... | --all", Short: "Remove dead letters for good",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(func(ctx context.Context, b *conn.Conn, args []string) error {
				numbers, err := ch.letters(ctx, b, args)
				if err != nil {
					return err
				}
				if len(numbers) > 0 {
					what := fmt.Sprintf("discard %d dead letters of %s for good", len(numbers), b.Server())
					if err := a.confirm(c.InOrStdin(), what, force); err != nil {
						return err
					}
				}
				gone := []uint64{}
				var failed error
				for _, n := range numbers {
					if err := deadletter.New(b).Discard(ctx, n); err != nil {
						failed = errors.Join(failed, err)
						continue
					}
					gone = append(gone, n)
				}
				if err := a.result(gone, func(w io.Writer) { fmt.Fprintf(w, "%d dead letters discarded\n", len(gone)) }); err != nil {
					return err
				}
				return failed
			})(c, args)
		},
	}
	ch.allFlag(c)
	c.Flags().BoolVar(&force, "force", false, "do not ask")
	return c
}
