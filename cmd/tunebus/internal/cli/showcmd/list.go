package showcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/runtable"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// blockRuns is how many runs are read and written at once.
const blockRuns = 100

// manyFacts is how many facts the lines of runs may lack before the list says so.
const manyFacts = 1000

// runList reads the runs that a command lists.
type runList struct {
	console  *view.Console
	server   *session.Deployment
	index    *runindex.Index
	want     func(runindex.Line) bool
	archived bool
	asJSON   bool

	queues []topology.Queue
	// old are archived runs that the index has no line of, and rejected requests, the
	// newest first.
	old []runindex.Line
	// deleted are the runs of which nothing is shown, although an archive of them may
	// still have a line.
	deleted []string
	// hidden counts archived runs that are wanted and not listed.
	hidden int
	// said holds what the screen says once.
	said map[string]bool
}

// read calls write with the runs that are wanted, the newest first, until there are
// limit of them; 0: all.
func (l *runList) read(ctx context.Context, limit int, write func([]runtable.Row) error) error {
	state, err := l.index.State(ctx)
	if err != nil {
		return err
	}
	l.sayState(state)
	if err := l.readQueues(ctx, topology.NewInspector(l.server.Bus).Queues); err != nil {
		return err
	}
	l.old, l.hidden, l.deleted = nil, 0, nil
	if l.archived {
		if l.old, err = l.unindexed(ctx, state); err != nil {
			return err
		}
		if l.deleted, err = runlister.New(l.server.Bus).Deleted(ctx); err != nil {
			return err
		}
	}
	if err := l.addRejected(ctx, limit); err != nil {
		return err
	}
	if l.asJSON { // for people they are on the screen
		l.addWaiting(ctx)
	}
	written := 0
	var block []runindex.Line
	flush := func() error {
		rows, err := l.rows(ctx, block)
		if err != nil {
			return err
		}
		written, block = written+len(block), nil
		return write(rows)
	}
	add := func(line runindex.Line) error {
		ok, err := l.isWanted(ctx, &line)
		if err != nil || !ok {
			return err
		}
		block = append(block, line)
		full := limit > 0 && written+len(block) == limit
		if full || len(block) == blockRuns {
			if err := flush(); err != nil {
				return err
			}
		}
		if full {
			return errEnough
		}
		return nil
	}
	order := byRequest{each: add}
	err = l.each(ctx, state, order.add)
	if err == nil {
		err = order.end()
	}
	if err != nil {
		if errors.Is(err, errEnough) {
			err = nil
		}
		return err
	}
	return flush()
}

// readQueues reads the queues. A list does not fail by it: the rest is worth to be shown without
// which runs wait for a worker.
func (l *runList) readQueues(ctx context.Context, read func(context.Context) ([]topology.Queue, error)) (err error) {
	if l.queues, err = read(ctx); err == nil || ctx.Err() != nil {
		return err
	}
	l.sayOnce("which runs wait for a worker is not known: %v", err)
	return nil
}

// each calls add with all runs, also those that the index does not have.
func (l *runList) each(ctx context.Context, state runindex.State, add func(runindex.Line) error) error {
	addOld := func(newer uint64) error {
		for len(l.old) > 0 && l.old[0].Accepted > newer {
			line := l.old[0]
			l.old = l.old[1:]
			if err := add(line); err != nil {
				return err
			}
		}
		return nil
	}
	newest := l.index.Newest
	if l.asJSON {
		newest = l.index.NewestWithResults
	}
	for line, err := range newest(ctx, state) {
		if err != nil {
			return err
		}
		if err := addOld(line.Accepted); err != nil {
			return err
		}
		if line.Archived && !l.archived {
			if !l.want(line) {
				continue
			}
			if l.deleted == nil { // most lists need none of them
				if l.deleted, err = runlister.New(l.server.Bus).Deleted(ctx); err != nil {
					return err
				}
				l.deleted = append([]string{}, l.deleted...)
			}
			if _, gone := slices.BinarySearch(l.deleted, line.RunID); !gone {
				l.hidden++
			}
			continue
		}
		if _, gone := slices.BinarySearch(l.deleted, line.RunID); gone {
			continue
		}
		if err := add(line); err != nil {
			return err
		}
	}
	return addOld(0)
}

// sayState says on the screen what a person should know of the lines.
func (l *runList) sayState(state runindex.State) {
	switch {
	case state.Trouble != nil:
		l.sayOnce("the lines of runs cannot be read, so each run is read from its facts: %v", state.Trouble)
	case state.Through == 0 && state.Behind() > manyFacts:
		l.sayOnce("there are no lines of runs yet, so each run is read from its facts; a running tracker writes them")
	case state.Behind() > manyFacts:
		l.sayOnce("the tracker is %s facts behind or does not run; the newest runs are read from their facts", events.Count(int64(state.Behind())))
	}
}

func (l *runList) sayOnce(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.said[text] {
		return
	}
	if l.said == nil {
		l.said = map[string]bool{}
	}
	l.said[text] = true
	l.console.Say("%s", view.Printable(text))
}

// isWanted reports whether a run is listed. It completes the line of one with long
// labels first.
func (l *runList) isWanted(ctx context.Context, line *runindex.Line) (bool, error) {
	if line.LabelsCut && !line.Archived {
		err := runlister.New(l.server.Bus).AcceptedEvents(ctx, []string{line.RunID}, func(a events.PipelineAccepted) { line.Labels = a.Labels })
		if err != nil {
			return false, err
		}
	}
	return l.want(*line), nil
}

// rows adds to lines what changes from moment to moment, and for JSON what only the
// facts hold.
func (l *runList) rows(ctx context.Context, lines []runindex.Line) ([]runtable.Row, error) {
	var attempts []history.Attempt
	for _, line := range lines {
		number := line.Attempt
		if l.server.Folder() != "" { // nobody works there: what an attempt came to is how far the run is
			number = max(number, line.Earlier)
		}
		if number > 0 {
			attempts = append(attempts, history.Attempt{Run: line.RunID, Phase: line.Phase, Number: number})
		}
	}
	progress, err := history.ProgressOf(ctx, l.server.Bus, attempts)
	if err != nil {
		return nil, err
	}
	var summaries map[string]runsummary.Summary
	if l.asJSON {
		if summaries, err = l.summaries(ctx, lines); err != nil {
			return nil, err
		}
	}
	rows := make([]runtable.Row, 0, len(lines))
	for _, line := range lines {
		if line.Unreadable != "" {
			l.sayOnce("run %s: %s", line.RunID, line.Unreadable)
		}
		row := runtable.Row{Line: line, Summary: summaries[line.RunID], Percent: -1, Until: time.Now(), WaitsForWorker: l.unattended(line)}
		if line.Status == events.StatusRejected {
			row.Summary, row.Until = runsummary.Summary{}, line.UpdatedAt // the id may be that of a run
		}
		p, ok := progress[line.RunID]
		if l.server.Folder() != "" { // nobody works on it now
			row.Until, row.Stopped = line.UpdatedAt, line.Status == events.StatusRunning
			row.WaitsForWorker = "" // whoever works on the folder takes the jobs of all queues
			if p.At.After(row.Until) {
				row.Until = p.At
			}
		}
		if ok {
			row.Preparing = p.Stage != ""
			if p.Total > 0 {
				row.Percent = view.Percent(p.Step, p.Total)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// unattended is the queue in which a job of the run waits although nobody takes jobs
// from it.
func (l *runList) unattended(line runindex.Line) string {
	if line.Queue != "" && slices.ContainsFunc(l.queues, func(q topology.Queue) bool {
		return q.Phase == line.Phase && q.Name == line.Queue && q.Unattended()
	}) {
		return string(line.Phase) + "/" + line.Queue
	}
	return ""
}

// summaries reads what the JSON of runs has and their lines have not.
func (l *runList) summaries(ctx context.Context, lines []runindex.Line) (map[string]runsummary.Summary, error) {
	out := make(map[string]runsummary.Summary, len(lines))
	var filters []string
	for _, line := range lines {
		switch {
		case len(line.Result) > 0, line.Status == events.StatusRejected: // it has one, or none at all
		case !line.Ended() && line.Status != runindex.StatusUnreadable:
			out[line.RunID] = runsummary.Of(events.Run{ID: line.RunID})
		case line.Archived:
			reader, err := l.server.Archive(ctx)
			if err != nil {
				return nil, err
			}
			run, _ := reader.Run(ctx, line.RunID) // what cannot be read is in the line
			out[line.RunID] = runsummary.Of(run)
		default:
			out[line.RunID] = runsummary.Of(events.Run{ID: line.RunID})
			filters = append(filters, events.PipelineCompleted{RunID: line.RunID}.Subject(), events.TrackingCompleted{RunID: line.RunID}.Subject())
		}
	}
	if len(filters) == 0 {
		return out, nil
	}
	facts, err := history.New(l.server.Bus).LatestOfEach(ctx, filters)
	if err != nil {
		return nil, err
	}
	ends := map[string][]events.Fact{}
	for _, m := range facts {
		if fact, ok := m.Event.(events.Fact); ok {
			ends[fact.Run()] = append(ends[fact.Run()], fact)
		}
	}
	for run, facts := range ends {
		out[run] = runsummary.Of(events.Fold(facts))
	}
	return out, nil
}

// unindexed reads the archived runs that the index has no line of: those of an index
// that was lost, and those that an earlier version archived.
func (l *runList) unindexed(ctx context.Context, state runindex.State) ([]runindex.Line, error) {
	store, err := l.server.Store(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := archive.NewFiles(store).Runs(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	left := make(map[string]bool, len(ids))
	for _, id := range ids {
		left[id] = true
	}
	for line, err := range l.index.Newest(ctx, state) {
		if err != nil {
			return nil, err
		}
		delete(left, line.RunID)
	}
	reader, err := l.server.Archive(ctx)
	if err != nil {
		return nil, err
	}
	var lines []runindex.Line
	for id := range left {
		facts, err := reader.Facts(ctx, id)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			l.sayOnce("archived run %s: %v", id, err)
			continue
		}
		if line, ok := runindex.LineOf(facts); ok {
			line.Archived = true
			lines = append(lines, line)
		}
	}
	slices.SortFunc(lines, func(a, b runindex.Line) int { return cmp.Compare(b.Accepted, a.Accepted) })
	return lines, nil
}

// countArchived counts the runs of the archive, for a list that has no line of any run. A store
// that cannot be opened has none.
func (l *runList) countArchived(ctx context.Context) (int, error) {
	store, err := l.server.Store(ctx)
	if err != nil {
		return 0, nil
	}
	archived, err := archive.NewFiles(store).Runs(ctx)
	if err != nil {
		return 0, err
	}
	deleted, err := runlister.New(l.server.Bus).Deleted(ctx)
	archived = slices.DeleteFunc(archived, func(id string) bool {
		_, gone := slices.BinarySearch(deleted, id)
		return gone
	})
	return len(archived), err
}
