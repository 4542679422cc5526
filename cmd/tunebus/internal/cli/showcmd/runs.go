package showcmd

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
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/runtable"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

type runsFlags struct {
	at       session.Location
	archived bool
	watch    bool
	limit    int
	statuses []string
	labels   []string
	since    string
}

// The statuses that --status takes beside those of events.
const (
	statusOpen    = "open"
	statusPartial = string(runsummary.StatusPartial)
	statusStopped = string(runsummary.StatusStopped)
)

func allStatuses() []string {
	return []string{
		statusOpen, string(events.StatusQueued), string(events.StatusRunning), statusStopped, string(events.Success), statusPartial,
		string(events.Failure), string(events.Cancelled), string(events.StatusRejected), string(runindex.StatusUnreadable),
	}
}

// Runs is "tunebus runs".
func Runs(s *session.Session) *cobra.Command {
	var f runsFlags
	c := &cobra.Command{
		Use: "runs", Short: "List the runs, the newest first", Args: session.NoArgs,
		Long: "List the runs, the newest first: when each was asked for, how long it took, what it does\n" +
			"and how far it is, its main score, which is the first of evaluator.metrics with a value,\n" +
			"base model, name and labels.",
		Example: "  tunebus runs --limit 20\n" +
			"  tunebus runs --status failure --status partial --since 7d\n" +
			"  tunebus runs --label team=search --archived\n" +
			"  tunebus runs --watch",
		RunE: s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			want, err := f.filter(time.Now(), server.Folder() != "")
			if err != nil {
				return err
			}
			list := &runList{console: s.Console, server: server, index: runindex.New(server.Bus), want: want, archived: f.archived}
			if f.watch {
				return f.watchRuns(ctx, s, list)
			}
			if n, err := deadletter.New(server.Bus).Count(ctx); err == nil && n > 0 {
				s.Console.Say("%s: \"tunebus dlq list\" says why", view.Count(n, "dead letter"))
			}
			sayPending(ctx, s, server)
			return s.Console.Stream(func(w io.Writer, asJSON bool) error {
				table := runtable.New(w, asJSON)
				list.asJSON = asJSON
				err := patience.AskAgain(ctx, s.Console, server.Bus, func() error {
					err := list.read(ctx, f.limit, table.Write)
					if err != nil && table.Rows() > 0 { // it cannot begin once more
						err = fmt.Errorf("the list ends behind %s: %s", view.Count(table.Rows(), "run"), err.Error())
					}
					return err
				})
				if err != nil {
					return err
				}
				if table.Rows() == 0 && list.hidden == 0 && !f.archived && !f.isFiltered() {
					if list.hidden, err = list.countArchived(ctx); err != nil {
						return err
					}
				}
				none := f.none(server)
				if table.Rows() == 0 && list.hidden > 0 {
					none = server.Name() + " knows only archived runs"
				}
				if err := table.End(none); err != nil || list.hidden == 0 {
					return err
				}
				s.Console.Say("%s left out; \"tunebus runs --archived\" lists them, too", archivedAre(list.hidden))
				return nil
			})
		}),
	}
	f.at.AddFlags(c)
	c.Flags().BoolVar(&f.archived, "archived", false, "list the archived runs too")
	c.Flags().BoolVar(&f.watch, "watch", false, "show the newest runs again and again; lines of those that change where stdout is no terminal")
	c.Flags().IntVar(&f.limit, "limit", 0, "list so many runs at most; 0: all")
	c.Flags().StringArrayVar(&f.statuses, "status", nil, "list runs with this status: "+strings.Join(allStatuses(), ", ")+"; may be repeated")
	c.Flags().StringArrayVar(&f.labels, "label", nil, "list runs with this label, KEY or KEY=VALUE; may be repeated, all have to fit")
	c.Flags().StringVar(&f.since, "since", "", "list runs that were asked for since a time, a day, or so long ago, such as 2026-01-31 or 7d")
	session.CompleteValues(c, "status", allStatuses()...)
	session.Complete(c, "label", completeLabels(s, &f.at))
	return c
}

// archivedAre counts archived runs, with the verb for their number.
func archivedAre(n int) string {
	if n == 1 {
		return "1 archived run is"
	}
	return events.Count(n) + " archived runs are"
}

// none is what a list without runs says.
func (f *runsFlags) none(server *session.Deployment) string {
	if f.isFiltered() {
		return server.Name() + " has no such run"
	}
	return server.Name() + " knows no runs yet"
}

// isFiltered reports whether not all runs are wanted.
func (f *runsFlags) isFiltered() bool { return len(f.statuses)+len(f.labels) > 0 || f.since != "" }

// filter returns what says whether a run is listed. idle is set on a data folder on which nobody
// works.
func (f *runsFlags) filter(now time.Time, idle bool) (func(runindex.Line) bool, error) {
	since, err := timeflag.Point("--since", f.since, now)
	if err != nil {
		return nil, err
	}
	if f.limit < 0 {
		return nil, exit.Input(fmt.Errorf("--limit %d: want a number of runs; 0 lists all", f.limit))
	}
	for _, status := range f.statuses {
		if !slices.Contains(allStatuses(), status) {
			return nil, exit.Input(fmt.Errorf("--status %s: no run has it; want one of %s", status, strings.Join(allStatuses(), ", ")))
		}
	}
	for _, label := range f.labels {
		if key, _, _ := strings.Cut(label, "="); key == "" {
			return nil, exit.Input(fmt.Errorf("--label %s: want KEY or KEY=VALUE", label))
		}
	}
	return func(l runindex.Line) bool {
		return (since.IsZero() || !l.RequestedAt.Before(since)) && f.hasStatus(l, idle) && f.hasLabels(l)
	}, nil
}

func (f *runsFlags) hasStatus(l runindex.Line, idle bool) bool {
	word, queued := l.Word(), l.Queued()
	if idle {
		word, queued = runsummary.Stopped(word), false
	}
	return len(f.statuses) == 0 || slices.ContainsFunc(f.statuses, func(status string) bool {
		if status == statusOpen {
			return !l.Ended() && l.Status != runindex.StatusUnreadable && l.Status != events.StatusRejected
		}
		return string(word) == status || queued && status == string(events.StatusQueued)
	})
}

func (f *runsFlags) hasLabels(l runindex.Line) bool {
	for _, label := range f.labels {
		key, want, withValue := strings.Cut(label, "=")
		if got, ok := l.Labels[key]; !ok || withValue && got != want {
			return false
		}
	}
	return true
}

// watchInterval is how often a list is read again that is watched.
const watchInterval = 2 * time.Second

// watchRuns shows the newest runs until a person ends it.
func (f *runsFlags) watchRuns(ctx context.Context, s *session.Session, list *runList) error {
	if folder := list.server.Folder(); folder != "" {
		return exit.Input(fmt.Errorf("--watch has no effect on the data folder %s: no service works on it; this goes on with its runs:\n  %s",
			folder, s.CommandLine("up", "--data", folder)))
	}
	return s.Console.Stream(func(w io.Writer, asJSON bool) error {
		list.asJSON = asJSON
		watched := runtable.NewWatched(w, asJSON)
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			limit := f.limit
			if most := watched.Capacity(); most > 0 && (limit == 0 || limit > most) {
				limit = most
			}
			const withoutTerminal = 100
			if limit == 0 {
				limit = withoutTerminal
			}
			var rows []runtable.Row
			err := patience.AskAgain(ctx, s.Console, list.server.Bus, func() error {
				rows = nil
				return list.read(ctx, limit, func(some []runtable.Row) error {
					rows = append(rows, some...)
					return nil
				})
			})
			if err == nil {
				below := fmt.Sprintf("%s, %s of %s; Ctrl-C ends this", time.Now().Format(time.TimeOnly), view.Count(len(rows), "run"), list.server.Name())
				err = watched.Show(rows, f.none(list.server), below)
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
			}
		}
	})
}

// errEnough ends a list that has enough runs.
var errEnough = errors.New("the list is long enough")
