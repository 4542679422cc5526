package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

func (a *app) dlqCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "dlq", Short: "Look at dead letters, hand them back or discard them",
		Long: `A message that a service gave up is kept as a dead letter: it could not be read,
its version was unknown for too long, or it was delivered again and again in
vain. A phase that failed is none; it is repeated by "tunebus rerun".`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return bad(fmt.Errorf("dlq %s: want list, show, retry or discard", args[0]))
			}
			return c.Help()
		},
	}
	c.AddCommand(a.dlqListCommand(), a.dlqShowCommand(), a.dlqRetryCommand(), a.dlqDiscardCommand())
	return c
}

// deadLetter is a dead letter in a list.
type deadLetter struct {
	Letter   uint64    `json:"letter"`
	Time     time.Time `json:"time"`
	Consumer string    `json:"consumer"`
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	Subject  string    `json:"subject"`
	Run      string    `json:"run,omitempty"`
	Reason   string    `json:"reason"`
}

func deadLetterOf(l deadletter.Letter) deadLetter {
	return deadLetter{
		Letter: l.Sequence, Time: l.Time.UTC(), Consumer: l.Consumer, Stream: l.Stream, Sequence: l.Original,
		Subject: printable(l.Subject), Run: l.Run, Reason: printable(l.Reason),
	}
}

// chosen are the letters that a command is about.
type chosen struct {
	all                  bool
	run, subject, reason string
}

// flags adds the flags that choose letters by what they say.
func (ch *chosen) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&ch.run, "run", "", "only letters of this run")
	f.StringVar(&ch.subject, "subject", "", "only letters whose subject matches, such as \"finetune.requested.>\"")
	f.StringVar(&ch.reason, "reason", "", "only letters whose reason contains this text")
}

// allFlag adds --all, without which letters are chosen by their numbers.
func (ch *chosen) allFlag(c *cobra.Command) {
	ch.flags(c)
	c.Flags().BoolVar(&ch.all, "all", false, "every letter, or every one that the other flags choose")
}

func (ch *chosen) matches(l deadletter.Letter) bool {
	return (ch.run == "" || l.Run == ch.run) && (ch.subject == "" || covers(ch.subject, l.Subject)) && strings.Contains(l.Reason, ch.reason)
}

// covers reports whether a subject matches a filter of NATS.
func covers(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(f) == len(s)
}

// numbers are the letters that the arguments name; none with --all.
func (ch *chosen) numbers(args []string) ([]uint64, error) {
	switch {
	case ch.all && len(args) > 0:
		return nil, bad(errors.New("--all and numbers of letters exclude each other"))
	case ch.all:
		return nil, nil
	case len(args) == 0:
		return nil, bad(errors.New(`want numbers of letters, as "tunebus dlq list" shows them, or --all`))
	case *ch != chosen{}:
		return nil, bad(errors.New("--run, --subject and --reason choose among --all, not among numbers"))
	}
	var out []uint64
	for _, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || n == 0 {
			return nil, bad(fmt.Errorf("%q is no number of a letter", arg))
		}
		out = append(out, n)
	}
	return out, nil
}

// letters finds the letters that a command is about, by their numbers. Those
// that come while it works are left for the next one.
func (ch *chosen) letters(ctx context.Context, b *conn.Conn, args []string) ([]uint64, error) {
	numbers, err := ch.numbers(args)
	if err != nil {
		return nil, err
	}
	for _, n := range numbers { // none is touched if one does not exist
		if _, err := letter(ctx, b, n); err != nil {
			return nil, err
		}
	}
	if !ch.all {
		return numbers, nil
	}
	err = deadletter.New(b).List(ctx, func(l deadletter.Letter) error {
		if ch.matches(l) {
			numbers = append(numbers, l.Sequence)
		}
		return nil
	})
	return numbers, err
}

func letter(ctx context.Context, b *conn.Conn, n uint64) (deadletter.Letter, error) {
	l, err := deadletter.New(b).Get(ctx, n)
	if errors.Is(err, history.ErrNotFound) {
		return l, bad(fmt.Errorf("there is no dead letter %d on %s; \"tunebus dlq list\" lists them", n, b.Server()))
	}
	return l, err
}

// printable shows what could steer a terminal: a letter holds whatever
// somebody published.
func printable(text string) string {
	steers := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if steers(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
