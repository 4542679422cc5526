package logcmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/runlog"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

type logsFlags struct {
	at     session.Location
	phase  string
	follow bool
}

// Logs is "tunebus logs".
func Logs(s *session.Session) *cobra.Command {
	var f logsFlags
	c := &cobra.Command{
		Use: "logs RUN", Short: "Show what the attempts at a run logged", Args: session.ExactlyOne("RUN"),
		Long: "Show what the attempts at a run logged, on whichever machine they worked, with the starts and\n" +
			"the ends of the attempts. The server keeps lines for 30 days, and the newest 50,000 of an\n" +
			"attempt at most; a line says where some are missing.",
		Example: "  tunebus logs last\n" +
			"  tunebus logs last --phase finetune --follow",
		ValidArgsFunction: session.CompleteRuns(s, &f.at),
		RunE: s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
			if f.phase != "" && !events.Phase(f.phase).Valid() {
				return exit.Input(fmt.Errorf("--phase %s: no such phase; want one of %s", f.phase, view.Words(events.Phases())))
			}
			ask := func(read func() error) error { return patience.AskAgain(ctx, s.Console, server.Bus, read) }
			var run events.Run
			err := ask(func() (err error) {
				run, err = accepted(ctx, server, args[0])
				return err
			})
			if err != nil {
				return err
			}
			id := run.ID
			if err := f.check(s, server, run); err != nil {
				return err
			}
			return s.Console.Stream(func(w io.Writer, asJSON bool) error {
				l := &logShower{
					facts: factsOf(ctx, server),
					lines: history.NewLogReader(server.Bus, id, events.Phase(f.phase)),
					out:   runlog.New(w, asJSON),
					ask:   ask,
					run:   id,
					phase: events.Phase(f.phase),
					quiet: func() { s.Console.Say("%s", whyQuiet(ctx, server, run, "; waiting for one")) },
				}
				if err := l.show(ctx, f.follow); err != nil {
					if f.follow && ctx.Err() != nil {
						return interrupted(s, id, f.again(id))
					}
					if conn.IsUnanswered(err) {
						err = fmt.Errorf("%w\nthis shows the log again:\n  %s", err, s.CommandLine(f.again(id)...))
					}
					return err
				}
				if l.written == 0 && !f.follow {
					s.Console.Say("%s", whyQuiet(ctx, server, run, ""))
				} else if len(l.expects) == 0 && isArchived(ctx, server, id) {
					s.Console.Say("run %s is archived; what its attempts wrote into the log was removed with that, and what its events say is left", id)
				}
				return nil
			})
		}),
	}
	f.at.AddFlags(c)
	c.Flags().StringVar(&f.phase, "phase", "", "show this phase alone: finetune, inference or evaluation")
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until the run has ended, or the phase of --phase")
	var phases []string
	for _, p := range events.Phases() {
		phases = append(phases, string(p))
	}
	session.CompleteValues(c, "phase", phases...)
	return c
}

// accepted finds a run that intake has accepted.
func accepted(ctx context.Context, server *session.Deployment, text string) (events.Run, error) {
	id, err := server.RunID(ctx, text)
	if err != nil {
		return events.Run{}, err
	}
	run, err := server.FindRun(ctx, id)
	if err != nil && !codec.IsUndecodable(err) {
		return events.Run{}, err
	}
	if run.Accepted == nil {
		return events.Run{}, server.UnknownOrPending(ctx, id)
	}
	run.ID = id
	return run, nil
}

// again are the words that show the log of a run again.
func (f *logsFlags) again(run string) []string {
	command := []string{"logs", run}
	if f.follow {
		command = append(command, "--follow")
	}
	if f.phase != "" {
		command = append(command, "--phase", f.phase)
	}
	return command
}

// interrupted is the error of a person who ends a log that is followed.
func interrupted(s *session.Session, run string, command []string) error {
	return &exit.Error{
		Code: exit.CodeInterrupted,
		Err:  fmt.Errorf("interrupted; run %s is not touched by it, and this shows its log again:\n  %s", run, s.CommandLine(command...)),
	}
}

// check refuses what can show nothing.
func (f *logsFlags) check(s *session.Session, server *session.Deployment, run events.Run) error {
	planned := func(step events.Step) bool { return string(step.Phase) == f.phase }
	if f.phase != "" && !slices.ContainsFunc(run.Accepted.Plan, planned) {
		return exit.Input(fmt.Errorf("--phase %s: run %s has no such phase in its plan", f.phase, run.ID))
	}
	if folder := server.Folder(); f.follow && folder != "" && run.Completed == nil {
		return fmt.Errorf("--follow: run %s has not ended, and no service works on %s; this goes on with it:\n  %s",
			run.ID, server.Name(), s.CommandLine("up", "--data", folder))
	}
	return nil
}

// whyQuiet says what a run waits for that has no line yet. Where that is not known, it adds
// what the command does then.
func whyQuiet(ctx context.Context, server *session.Deployment, run events.Run, then string) string {
	queues, err := topology.NewInspector(server.Bus).Queues(ctx)
	if err == nil && server.Folder() == "" { // nobody works on a folder
		if queue := freeworker.Missing(run, queues); queue != "" {
			return fmt.Sprintf("run %s has no line yet: it %s", run.ID, view.WaitsForWorker(queue))
		}
		if awaited, err := freeworker.Awaited(ctx, server.Bus, run, queues); err == nil && awaited != "" {
			return fmt.Sprintf("run %s has no line yet: it %s", run.ID, view.WaitsFor(awaited))
		}
	}
	return fmt.Sprintf("run %s has no line yet: no attempt has started%s", run.ID, then)
}

// isArchived reports whether the facts of a run have left the stream.
func isArchived(ctx context.Context, server *session.Deployment, id string) bool {
	run, err := history.New(server.Bus).Run(ctx, id)
	return err == nil && run.Accepted == nil
}

// factsOf returns what reads the facts of a run, also of an archived one where the
// artifact store can be opened.
func factsOf(ctx context.Context, server *session.Deployment) func(ctx context.Context, run string) ([]codec.Message, error) {
	reader, err := server.Archive(ctx)
	if err != nil {
		return history.New(server.Bus).Facts
	}
	return reader.Facts
}

// pollInterval is how often a log is read again that is followed.
const pollInterval = 500 * time.Millisecond

// logShower shows the log of a run.
type logShower struct {
	facts func(ctx context.Context, run string) ([]codec.Message, error)
	lines *history.LogReader
	// ask calls a function that reads again if it got no answer.
	ask   func(read func() error) error
	out   *runlog.Writer
	run   string
	phase events.Phase // empty: all
	// quiet is called once if there is nothing to show yet of a log that is followed.
	quiet func()

	last    uint64            // the newest fact that was shown
	expects map[attempt]int64 // the number of the next line
	// byIntake are the attempts with which intake ends phases in the place of a worker.
	byIntake map[attempt]bool
	pending  []runlog.Line // what facts say, which is not written yet
	written  int
}

type attempt struct {
	phase  events.Phase
	number int
}

// show writes the log, and goes on until the end of the run if follow is set.
func (l *logShower) show(ctx context.Context, follow bool) error {
	l.expects, l.byIntake = map[attempt]int64{}, map[attempt]bool{}
	for {
		ended, err := l.askForNews(ctx)
		if err == nil && follow && !ended && l.written == 0 && l.quiet != nil {
			l.quiet()
			l.quiet = nil
		}
		if err == nil && (ended || !follow) {
			if ended && follow { // lines may be stored a moment after the fact
				select {
				case <-ctx.Done():
				case <-time.After(pollInterval):
				}
				_, err = l.askForNews(ctx)
			}
			return err
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// askForNews is showNews, again and again if there is no answer: what was written is not written
// once more.
func (l *logShower) askForNews(ctx context.Context) (ended bool, err error) {
	err = l.ask(func() (err error) {
		ended, err = l.showNews(ctx)
		return err
	})
	return ended, err
}

// showNews writes what came since the last call. ended says whether nothing more can
// come.
func (l *logShower) showNews(ctx context.Context) (ended bool, err error) {
	facts, err := l.facts(ctx, l.run)
	if err != nil {
		return false, err
	}
	for _, m := range facts {
		if m.Sequence > l.last {
			l.last = m.Sequence
			l.pending = append(l.pending, l.factLines(m)...)
		}
		ended = ended || l.ends(m.Event)
	}
	err = l.lines.Read(ctx, func(batch events.Log, _ time.Time) error { return l.writeBatch(batch) })
	if err != nil {
		return ended, err
	}
	return ended, l.writePending(time.Time{})
}

func (l *logShower) ends(ev events.Event) bool {
	switch e := ev.(type) {
	case events.PipelineCompleted:
		return true
	case events.PhaseCompleted:
		return e.Phase == l.phase
	}
	return false
}

// writeBatch writes lines, what facts said before each, and what is missing.
func (l *logShower) writeBatch(batch events.Log) error {
	whose := attempt{batch.Phase, batch.Attempt}
	expected := max(1, l.expects[whose])
	if batch.First+int64(len(batch.Lines)) <= expected {
		return nil // it came twice
	}
	for i, line := range batch.Lines {
		number := batch.First + int64(i)
		if number < expected {
			continue
		}
		if err := l.writePending(line.Time); err != nil {
			return err
		}
		out := runlog.Line{Time: line.Time, Phase: batch.Phase, Attempt: batch.Attempt, Number: number, Level: line.Level, Text: line.Text}
		if number > expected {
			missing := out
			missing.Number, missing.Level = 0, "warning"
			missing.Text = fmt.Sprintf("lines %d to %d are missing: there were too many at once, or the server keeps them no more", expected, number-1)
			if err := l.write(missing); err != nil {
				return err
			}
		}
		if err := l.write(out); err != nil {
			return err
		}
		expected = number + 1
	}
	l.expects[whose] = expected
	return nil
}

// writePending writes what facts said until a time; all of it for the zero time.
func (l *logShower) writePending(until time.Time) error {
	for len(l.pending) > 0 && (until.IsZero() || !l.pending[0].Time.After(until)) {
		if err := l.write(l.pending[0]); err != nil {
			return err
		}
		l.pending = l.pending[1:]
	}
	return nil
}

func (l *logShower) write(line runlog.Line) error {
	l.written++
	return l.out.Write(line)
}
