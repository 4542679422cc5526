package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
)

func (a *app) dlqListCommand() *cobra.Command {
	var ch chosen
	c := &cobra.Command{
		Use: "list", Short: "List the dead letters", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, b *conn.Conn, _ []string) error {
			list := []deadLetter{}
			if err := deadletter.New(b).List(ctx, func(l deadletter.Letter) error {
				if ch.matches(l) {
					list = append(list, deadLetterOf(l))
				}
				return nil
			}); err != nil {
				return err
			}
			return a.result(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "no dead letters")
					return
				}
				table(w, list, "LETTER\tGIVEN UP\tBY\tSUBJECT\tREASON", func(l deadLetter) string {
					return fmt.Sprintf("%d\t%s\t%s\t%s\t%s", l.Letter, l.Time.Format(time.DateTime), l.Consumer, l.Subject, shortened(l.Reason))
				})
			})
		}),
	}
	ch.flags(c)
	return c
}

// shortened fits a reason into a line; "dlq show" has all of it.
func shortened(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
