package showcmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/comparison"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/compared"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// maxListedRows bounds --rows: their texts are held.
const maxListedRows = 1000

// Compare is "tunebus compare".
func Compare(s *session.Session) *cobra.Command {
	var at session.Location
	var metric string
	rows := 10
	c := &cobra.Command{
		Use: "compare RUN RUN", Short: "Compare two runs", Args: twoRuns,
		Long: "Compare two runs: the keys of their specifications and the inputs that differ, losses and\n" +
			"scores side by side, and the rows whose score changed most. Rows are the same if their\n" +
			"questions and truths are, wherever they stand in the data.",
		Example: "  tunebus compare nightly last\n" +
			"  tunebus compare nightly last --metric rouge_score --rows 30 --json",
		ValidArgsFunction: session.CompleteRunsUpTo(s, &at, 2),
		RunE: session.WithReading(s, &at, func(ctx context.Context, server *session.Deployment, args []string) error {
			if rows < 0 || rows > maxListedRows {
				return exit.Input(fmt.Errorf("--rows %d: want a number up to %d", rows, maxListedRows))
			}
			var runs [2]events.Run
			for i, text := range args {
				var err error
				if runs[i], err = acceptedRun(ctx, s, server, text); err != nil {
					return err
				}
			}
			if runs[0].ID == runs[1].ID {
				return exit.Input(fmt.Errorf("%s and %s are the same run, %s; name two runs", args[0], args[1], runs[0].ID))
			}
			c, err := comparison.Of(ctx, runs[0], runs[1], comparison.Options{
				Open: func(ctx context.Context, ref events.Reference) (comparison.Opener, error) {
					return openArtifact(ctx, server, ref)
				},
				Loss: func(ctx context.Context, run events.Run) (losshistory.Curves, error) {
					return losshistory.Read(ctx, server.Bus, server.Store, run)
				},
				Metric: metric,
				Rows:   rows,
				Idle:   server.Folder() != "",
			})
			if _, unknown := errors.AsType[*comparison.UnknownMetricError](err); unknown {
				return exit.Input(err)
			}
			if err != nil {
				return err
			}
			if err := s.Console.Print(compared.Runs(c)); err != nil {
				return err
			}
			if c.Incomplete {
				return exit.Silent(exit.CodeError)
			}
			return nil
		}),
	}
	at.AddFlags(c)
	c.Flags().StringVar(&metric, "metric", "", "score by which rows are compared; default: the first of evaluator.metrics that rows of both runs have")
	session.CompleteValues(c, "metric", scores()...)
	c.Flags().IntVar(&rows, "rows", rows, "list so many of the rows that changed most")
	return c
}

func twoRuns(_ *cobra.Command, args []string) error {
	const wanted = 2
	if len(args) != wanted {
		return exit.Input(fmt.Errorf("want RUN RUN, but got %d; %s", len(args), session.WhatRun))
	}
	return nil
}

// acceptedRun finds a run that a person names, wherever its facts are. What cannot be
// read of it is said on the screen.
func acceptedRun(ctx context.Context, s *session.Session, server *session.Deployment, text string) (events.Run, error) {
	id, err := server.RunID(ctx, text)
	if err != nil {
		return events.Run{}, err
	}
	run, err := server.FindRun(ctx, id)
	if codec.IsUndecodable(err) && run.Accepted != nil {
		s.Console.Say("run %s: %v", id, err)
		err = nil
	}
	if err == nil && run.Accepted == nil {
		err = server.UnknownOrPending(ctx, id)
	}
	return run, err
}

// openArtifact returns what opens an artifact, as often as it is asked.
func openArtifact(ctx context.Context, server *session.Deployment, ref events.Reference) (comparison.Opener, error) {
	store, err := server.Store(ctx)
	if err != nil {
		return nil, err
	}
	if ref.Store != store.ID() {
		return nil, fmt.Errorf("they lie in store %s, and this is store %s; --artifacts names another one%s", ref.Store, store.ID(), storeopening.Earlier(session.DataFolder(server)))
	}
	return func(ctx context.Context) (io.ReadCloser, error) { return store.Get(ctx, ref) }, nil
}
