// Package dlqcmd holds the commands on dead letters: dlq list, show, retry and
// discard.
package dlqcmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// DLQ is "tunebus dlq", the parent of the others.
func DLQ(*session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "dlq", Short: "Look at dead letters, hand them back or discard them",
		Long: `A message that a service gave up is kept as a dead letter: it could not be read,
its version was unknown for too long, or it was delivered again and again in
vain. A phase that failed is none; it is repeated by "tunebus rerun".`,
	}
}

// addFilterFlags adds the flags that choose letters by what they hold.
func addFilterFlags(c *cobra.Command, f *redrive.Filter) {
	flags := c.Flags()
	flags.StringVar(&f.Run, "run", "", "only letters of this run")
	flags.StringVar(&f.Subject, "subject", "", "only letters whose subject matches, such as \"finetune.requested.>\"")
	flags.StringVar(&f.Reason, "reason", "", "only letters whose reason contains this text")
}

// idOf is the id of the run that --run means; empty without the flag.
func idOf(ctx context.Context, server *session.Deployment, run string) (string, error) {
	if run == "" {
		return "", nil
	}
	return server.RunID(ctx, run)
}

// selectionFlags choose the letters that a command changes: by number, or with
// --all by a filter.
type selectionFlags struct {
	at     session.Location
	all    bool
	filter redrive.Filter
}

func (f *selectionFlags) addFlags(c *cobra.Command) {
	f.at.AddDataFlag(c)
	addFilterFlags(c, &f.filter)
	c.Flags().BoolVar(&f.all, "all", false, "every letter, or every one that the other flags choose")
	c.PreRunE = func(_ *cobra.Command, args []string) error { // before a server is looked for
		_, err := f.read(args)
		return err
	}
}

// read reads which letters flags and arguments choose.
func (f *selectionFlags) read(args []string) (redrive.Selection, error) {
	s := redrive.Selection{All: f.all, Filter: f.filter}
	switch {
	case f.all && len(args) > 0:
		return s, exit.Input(errors.New("--all and numbers of letters exclude each other"))
	case f.all:
		return s, nil
	case len(args) == 0:
		return s, exit.Input(errors.New(`want numbers of letters, as "tunebus dlq list" shows them, or --all`))
	case f.filter != redrive.Filter{}:
		return s, exit.Input(errors.New("--run, --subject and --reason choose among --all, not among numbers"))
	}
	for _, arg := range args {
		n, err := readNumber(arg)
		if err != nil {
			return s, err
		}
		s.Sequences = append(s.Sequences, n)
	}
	return s, nil
}

// plan reads which letters flags and arguments choose, and finds them.
func (f *selectionFlags) plan(ctx context.Context, server *session.Deployment, args []string) ([]uint64, error) {
	selection, err := f.read(args)
	if err != nil {
		return nil, err
	}
	if selection.Filter.Run, err = idOf(ctx, server, selection.Filter.Run); err != nil {
		return nil, err
	}
	plan, err := redrive.Plan(ctx, deadletter.New(server.Bus), selection)
	return plan, explain(err, server.Name())
}

func readNumber(arg string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, exit.Input(fmt.Errorf("%q is no number of a letter", arg))
	}
	return n, nil
}

// explain says of a letter that does not exist where those that do are listed.
func explain(err error, server string) error {
	if missing, ok := errors.AsType[*redrive.MissingError](err); ok {
		return exit.Input(fmt.Errorf("%w on %s; \"tunebus dlq list\" lists them", missing, server))
	}
	return err
}
