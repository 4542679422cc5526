package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
)

// handedBack is what became of a letter, for scripts.
type handedBack struct {
	Letter   uint64 `json:"letter"`
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (a *app) dlqRetryCommand() *cobra.Command {
	var ch chosen
	c := &cobra.Command{
		Use: "retry LETTER... | --all", Short: "Hand dead letters back",
		Long: `Hands each letter's message back, whole: a request as a new message on
pipeline.requested, a fact to the service that gave it up and to no other. The
letter goes when its message is stored. A message that is given up again leaves
a new letter.`,
		RunE: a.with(func(ctx context.Context, b *conn.Conn, args []string) error {
			numbers, err := ch.letters(ctx, b, args)
			if err != nil {
				return err
			}
			done := []handedBack{}
			var failed error
			for _, n := range numbers {
				d := handedBack{Letter: n}
				m, err := handBack(ctx, b, n)
				if err != nil {
					d.Error = err.Error()
					failed = errors.Join(failed, err)
				}
				if m.Sequence > 0 {
					d.Stream, d.Sequence, d.Subject = m.Stream, m.Sequence, m.Subject
				}
				done = append(done, d)
			}
			if err := a.result(done, func(w io.Writer) {
				for _, d := range done {
					if d.Sequence > 0 {
						fmt.Fprintf(w, "letter %d handed back as message %d of %s, on %s\n", d.Letter, d.Sequence, d.Stream, d.Subject)
					}
				}
				if len(done) == 0 {
					fmt.Fprintln(w, "no dead letters")
				}
			}); err != nil {
				return err
			}
			return failed
		}),
	}
	ch.allFlag(c)
	return c
}

func handBack(ctx context.Context, b *conn.Conn, n uint64) (codec.Message, error) {
	l, err := deadletter.New(b).Get(ctx, n)
	if err != nil {
		return codec.Message{}, err
	}
	return deadletter.New(b).Redrive(ctx, l)
}
