package opscmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deletedruns"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/deletion"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
)

type deleteFlags struct {
	at      session.Location
	options deletion.Options
	yes     bool
	// tracking and reports are where the runs of a data folder are tracked.
	tracking, reports string
	// limit is the longest wait for the tracker.
	limit time.Duration
}

// Delete is "tunebus delete".
func Delete(s *session.Session) *cobra.Command {
	var f deleteFlags
	c := &cobra.Command{
		Use: "delete RUN...", Short: "Remove runs that have ended, with all that no other run uses",
		Long: `Removes runs that have ended: their facts, metric points, checkpoints, reports and
dead letters, their lines in the list of runs, and their artifacts. An artifact
that another run, an archive or a request refers to stays, and content that was
stored or used within the last hour: "tunebus gc" removes it when nothing needs
it any more. MLflow keeps its runs, with the tag tunebus.deleted.

The id of a deleted run stays taken. If the command is stopped, the next delete
goes on with what it has begun.`,
		Example: `  tunebus delete last --dry-run
  tunebus delete nightly --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Input(errors.New(`want one RUN, or several; RUN is a whole id that "tunebus runs" lists, the name of one run, or last`))
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return session.CompleteRuns(s, &f.at)(c, nil, begun)
		},
		PreRunE: func(*cobra.Command, []string) error { // nothing is deleted before its flags are right
			return (&inprocess.Flags{Reports: f.reports, Tracking: f.tracking}).Apply(&settings.Settings{})
		},
		RunE: func(c *cobra.Command, args []string) error {
			return s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
				store, err := server.Store(ctx)
				if err != nil {
					return err
				}
				d := deletionCommand{session: s, server: server, store: store, deleter: deletion.New(server.Bus, store), flags: f}
				return d.run(ctx, c.InOrStdin(), args)
			})(c, args)
		},
	}
	f.at.AddFlags(c)
	c.Flags().BoolVar(&f.options.DryRun, "dry-run", false, "only say what would be removed, and how many bytes")
	c.Flags().BoolVar(&f.options.Archived, "archived", false, "delete archived runs, too")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	c.Flags().StringVar(&f.tracking, "tracking-uri", "", "on a data folder: MLflow of the runs that name none; default: the settings' services.tracker.tracking_uri")
	c.Flags().StringVar(&f.reports, "reports", "", "on a data folder: folder of the reports; default: the settings' services.tracker.reports")
	timeflag.WaitVar(c.Flags(), &f.limit, "timeout", 30*time.Second, "on a server: longest wait for the tracker to remove the reports")
	return c
}

// deletionWaits is said while archiving or deleting waits for others.
const deletionWaits = "somebody else archives or deletes runs, or a process that did was killed a moment ago; waiting for it"

// deletionCommand is one call of the command.
type deletionCommand struct {
	session *session.Session
	server  *session.Deployment
	store   *artifact.Store
	deleter *deletion.Deleter
	flags   deleteFlags
}

func (d deletionCommand) run(ctx context.Context, in io.Reader, args []string) error {
	ids, err := d.find(ctx, args)
	if err != nil {
		return err
	}
	d.flags.options.Unattended = d.server.Folder() != ""
	targets, err := d.deleter.Plan(ctx, ids, d.flags.options)
	if refused, ok := errors.AsType[*deletion.RefusedError](err); ok {
		return d.refusal(ctx, refused)
	}
	if err != nil {
		return err
	}
	if !d.flags.yes || d.flags.options.DryRun {
		dry := d.flags.options
		dry.DryRun = true
		report, err := d.deleter.Delete(ctx, targets, dry)
		if err != nil {
			return d.explain(err)
		}
		if d.flags.options.DryRun {
			return d.session.Console.Print(deletedruns.DryRun(report))
		}
		d.session.Console.Say("%s", deletedruns.Text(report))
		if deletedruns.NothingLeft(report) { // there is nothing to ask about
			return d.result(ctx, report, ids)
		}
		what := fmt.Sprintf("delete %s of %s for good", deletedruns.Names(targets), d.server.Name())
		if err := d.session.Console.Confirm(in, what, "--yes", false); err != nil {
			return err
		}
	}
	options := d.flags.options
	options.TrackAgain = d.server.Folder() != ""
	options.OnWait = func() {
		d.session.Console.Say("%s", deletionWaits)
	}
	report, err := d.deleter.Delete(ctx, targets, options)
	if err != nil {
		return fmt.Errorf("%w; what is removed stays removed, and the same command goes on", d.explain(err))
	}
	return d.result(ctx, report, ids)
}

// result has the reports of the runs removed, and prints what was deleted and what is left.
func (d deletionCommand) result(ctx context.Context, report deletion.Report, ids []string) error {
	left, err := d.untrack(ctx, ids)
	if err != nil {
		return err
	}
	if err := d.session.Console.Print(deletedruns.Result(report, left, !d.flags.yes)); err != nil {
		return err
	}
	if left.Any() {
		return exit.Silent(exit.CodeLeft)
	}
	return nil
}

// find finds the runs that a person means, and those whose deletion was cut short.
func (d deletionCommand) find(ctx context.Context, args []string) ([]string, error) {
	unfinished, err := d.deleter.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, text := range args {
		i := slices.IndexFunc(unfinished, func(r events.PipelineDeleted) bool {
			return r.RunID == text || r.RunName == text
		})
		if i >= 0 {
			ids = append(ids, unfinished[i].RunID)
			continue
		}
		id, err := d.server.RunID(ctx, text)
		if err != nil {
			return nil, err
		}
		switch {
		case !events.ValidToken(id):
			_, err := d.server.FindRun(ctx, id)
			return nil, explainUnfound(err)
		case id != text && strings.HasPrefix(id, text): // which may mean another run tomorrow
			return nil, exit.Input(fmt.Errorf("%q is the beginning of the id %s; a deletion wants the whole id, the name of one run, or last", text, id))
		}
		ids = append(ids, id)
	}
	for _, r := range unfinished {
		if !slices.Contains(ids, r.RunID) {
			d.session.Console.Say("run %s was deleted before, and something of it is left; this goes on with it", r.RunID)
			ids = append(ids, r.RunID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// refusal is the error of runs that cannot be deleted. A run that does not exist is
// explained as everywhere.
func (d deletionCommand) refusal(ctx context.Context, refused *deletion.RefusedError) error {
	if len(refused.Refusals) == 1 && refused.Refusals[0].Why == deletion.ErrUnknown.Error() {
		id := refused.Refusals[0].Run
		_, err := d.server.FindRun(ctx, id)
		if err != nil {
			return explainUnfound(err)
		}
		unknown := d.server.UnknownOrPending(ctx, id)
		if _, waits := errors.AsType[*session.PendingError](unknown); waits {
			return exit.Input(fmt.Errorf("there is nothing to delete yet: %w; `%s` ends it", unknown, d.session.CommandLine("cancel", id)))
		}
		return unknown
	}
	if slices.ContainsFunc(refused.Refusals, func(r deletion.Refusal) bool { return strings.Contains(r.Why, "--artifacts") }) {
		return exit.Input(fmt.Errorf("%w%s", refused, storeopening.Earlier(session.DataFolder(d.server))))
	}
	return exit.Input(refused)
}

// explainUnfound is the error of a run that was not found, where it is a rejected request.
func explainUnfound(err error) error {
	if _, rejected := errors.AsType[*runwatch.RejectedError](err); rejected {
		return fmt.Errorf("there is nothing to delete, and the rejection stays: %w", err)
	}
	return err
}

// explain says what to do about an error of a deletion.
func (d deletionCommand) explain(err error) error {
	if errors.Is(err, lease.ErrTaken) {
		return fmt.Errorf("somebody else archives or deletes runs on %s; wait for it", d.server.Name())
	}
	return err
}

// untrack has the reports of the deleted runs removed and their MLflow runs marked:
// by the tracker of the server, or in this process on a data folder. It returns what
// is left.
func (d deletionCommand) untrack(ctx context.Context, ids []string) (left deletedruns.Left, err error) {
	if folder := d.server.Folder(); folder != "" {
		if err := d.untrackFolder(ctx, folder, ids); err != nil {
			if ctx.Err() != nil {
				return left, err
			}
			left.Wait(err, fmt.Sprintf("the next \"tunebus run\" or \"tunebus up\" on %s removes and marks it, and so does this command again", folder))
		}
	} else {
		waiting, cancel := context.WithTimeout(ctx, d.flags.limit)
		defer cancel()
		for _, id := range ids {
			if err := runwatch.On(d.server.Bus).Tracked(waiting, id); err != nil {
				if ctx.Err() != nil {
					return left, err
				}
				left.Wait(fmt.Errorf("no tracker has removed the reports of run %s and marked its MLflow runs within %s", id, d.flags.limit), "a tracker of the server does it when it is back")
				break
			}
		}
	}
	for _, id := range ids {
		done, err := d.deleter.Tracking(ctx, id)
		if errors.Is(err, history.ErrNotFound) {
			continue // pending
		}
		if err != nil {
			return left, err
		}
		left.Add(id, done)
	}
	return left, nil
}
