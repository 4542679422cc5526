package runindex

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

const (
	// factsAtOnce bounds the facts that one update looks at.
	factsAtOnce = 10_000
	// runsAtOnce bounds the runs that one step of filling a new bucket reads.
	runsAtOnce = 1_000
)

// errEnough ends a scan.
var errEnough = errors.New("that is enough")

// Update brings the lines closer to the newest fact, a bounded part of the way. done
// is true once they were up to the newest fact that was there at the beginning. One
// process at a time should call it, see package lease. Where another one wrote as
// well, nothing is lost, and the next call goes on.
func (x *Index) Update(ctx context.Context) (done bool, err error) {
	state, err := x.State(ctx)
	switch {
	case err != nil:
		return false, err
	case state.Trouble != nil:
		return false, state.Trouble
	case state.Through == 0 && state.Newest > 0:
		err = x.fill(ctx, state)
	default:
		done, err = x.advance(ctx, state)
	}
	if errors.Is(err, conn.ErrRevision) {
		return false, nil
	}
	return done, err
}

// fill writes the lines of the next runs of a bucket that is new.
func (x *Index) fill(ctx context.Context, state State) error {
	progress := state.stored
	if progress.Goal == 0 {
		if err := x.pages.clear(ctx); err != nil {
			return err
		}
		progress.Goal = state.Newest
	}
	read := 0
	var runs []touched
	accepted := map[string]codec.Message{}
	flush := func() error {
		lines, _, err := x.runs.lines(ctx, runs, accepted)
		if err != nil {
			return err
		}
		runs, accepted = nil, map[string]codec.Message{}
		return x.write(ctx, lines, nil)
	}
	const filter = events.TypePipelineAccepted + ".*"
	err := x.stored.Scan(ctx, events.StreamFacts, streams.FromSequence(progress.Filled+1), filter, func(m streams.Message) error {
		if read == runsAtOnce || m.Sequence > progress.Goal {
			return errEnough
		}
		a, err := events.ParseSubject(m.OriginalSubject())
		if err != nil {
			return nil // no run can have it
		}
		read++
		runs, accepted[a.Run], progress.Filled = append(runs, touched{run: a.Run}), x.history.Fact(m), m.Sequence
		if len(runs) == runsPerRequest {
			return flush()
		}
		return nil
	})
	var behind error
	if err == nil { // the scan came to the end of the copy that answered
		if err = x.stored.CheckThrough(ctx, events.StreamFacts, progress.Filled, progress.Goal, filter); errors.Is(err, streams.ErrBehind) {
			behind, err = err, nil
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	if read < runsAtOnce && behind == nil {
		// Copies that lag behind may have answered for single runs. The newest facts are
		// looked at once more, since advance knows which facts there must be.
		progress = storedState{Through: max(progress.Goal, factsAtOnce+1) - factsAtOnce}
	}
	return errors.Join(x.putState(ctx, &state, progress), behind)
}

// advance writes the lines of the runs that have facts behind those that the lines
// know of.
func (x *Index) advance(ctx context.Context, state State) (done bool, err error) {
	if state.Newest <= state.Through {
		return true, nil
	}
	s, err := x.runs.stretch(ctx, state.Through+1, min(state.Newest, state.Through+factsAtOnce))
	if err != nil {
		return false, err
	}
	lines, gone, err := x.runs.lines(ctx, s.ended, nil)
	if err != nil {
		return false, err
	}
	for _, open := range s.open {
		line, ok, err := x.runs.line(ctx, open)
		if err != nil {
			return false, err
		}
		if ok {
			lines = append(lines, line)
		} else {
			gone[open.run] = true
		}
	}
	if err := x.write(ctx, append(lines, s.lines...), gone); err != nil {
		return false, err
	}
	return s.last == state.Newest, x.putState(ctx, &state, storedState{Through: s.last})
}

// write puts lines on their pages, and removes those of runs that are gone. A run
// that the stream does not hold whole may be archived; its line stays then.
func (x *Index) write(ctx context.Context, lines []Line, gone map[string]bool) error {
	byPage := map[uint64][]Line{}
	for _, l := range lines {
		byPage[pageOf(l.Accepted)] = append(byPage[pageOf(l.Accepted)], l)
	}
	removed, err := x.pagesOf(ctx, gone)
	if err != nil {
		return err
	}
	for n := range removed {
		if _, ok := byPage[n]; !ok {
			byPage[n] = nil // it is written as well
		}
	}
	for n, lines := range byPage {
		err := x.pages.change(ctx, n, func(p *page) bool {
			for _, run := range removed[n] {
				p.remove(run)
			}
			for _, l := range lines {
				p.put(l)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pagesOf finds the pages with lines of runs, except those of archived ones.
func (x *Index) pagesOf(ctx context.Context, runs map[string]bool) (map[uint64][]string, error) {
	found := map[uint64][]string{}
	if len(runs) == 0 {
		return found, nil
	}
	numbers, err := x.pages.list(ctx)
	if err != nil {
		return nil, err
	}
	err = x.pages.each(ctx, numbers, false, func(l Line) error {
		if runs[l.RunID] && !l.Archived {
			found[pageOf(l.Accepted)] = append(found[pageOf(l.Accepted)], l.RunID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// CatchUp brings the lines up to the newest fact that is there now. A server without
// the list has nothing to bring up.
func (x *Index) CatchUp(ctx context.Context) error {
	for {
		done, err := x.Update(ctx)
		switch {
		case errors.Is(err, jetstream.ErrBucketNotFound):
			return nil
		case done || err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// MarkArchived writes the line of a run whose facts are about to leave the stream:
// nobody can make it anew from there. facts are all facts of the run, in the order of
// the stream. A server without the list has nothing to note.
func (x *Index) MarkArchived(ctx context.Context, facts []codec.Message) error {
	line, ok := LineOf(facts)
	if !ok {
		return nil
	}
	line.Archived = true
	return x.pages.edit(ctx, line.Accepted, func(p *page) (changed bool) {
		p.remove(line.RunID) // whatever it says, the archive knows better
		p.put(line)
		return true
	})
}
