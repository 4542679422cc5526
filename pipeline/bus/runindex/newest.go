package runindex

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

const (
	// fewFacts is how many facts the lines may lack so that a list looks which runs
	// those are about. Of more it reads each run that had not ended.
	fewFacts = 4096
	// The stretches of the stream of facts in which accepted runs are looked for.
	firstStretch, longestStretch = 512, 1 << 16
)

// Newest lists the accepted runs, those that were accepted last first: from the
// lines, and as far as a state says that they are too old, from the facts. It reads
// on only as the caller asks for more. It leaves out deleted runs; archived runs are
// marked.
func (x *Index) Newest(ctx context.Context, state State) iter.Seq2[Line, error] {
	return newest(ctx, x, state, false)
}

// NewestWithResults is [Index.Newest] for a list that shows the results of the runs.
func (x *Index) NewestWithResults(ctx context.Context, state State) iter.Seq2[Line, error] {
	return newest(ctx, x, state, true)
}

func newest(ctx context.Context, x *Index, state State, withResults bool) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		if err := x.list(ctx, state, withResults, func(l Line) bool { return yield(l, nil) }); err != nil && !errors.Is(err, errEnough) {
			yield(Line{}, err)
		}
	}
}

// list calls each with the runs until it returns false; the error is errEnough then.
func (x *Index) list(ctx context.Context, state State, withResults bool, each func(Line) bool) error {
	fresh := func(run touched) error {
		line, ok, err := x.runs.lineSoon(ctx, run)
		if err == nil && ok && !each(line) {
			return errEnough
		}
		return err
	}
	if err := x.acceptedSince(ctx, state, fresh); err != nil || state.Through == 0 {
		return err
	}
	stale, err := x.stale(ctx, state)
	if err != nil {
		return err
	}
	numbers, err := x.pages.list(ctx)
	if err != nil {
		return err
	}
	return x.pages.each(ctx, numbers, withResults, func(l Line) error {
		switch {
		case l.Accepted > state.Through:
			if !l.Archived {
				return nil // it was listed
			}
			if _, listed, err := x.runs.line(ctx, touched{run: l.RunID}); err != nil || listed {
				return err // its removal was cut short
			}
			if !each(l) {
				return errEnough
			}
			return nil
		case !l.Archived && stale(l):
			return fresh(touched{run: l.RunID, newest: l.Newest})
		case !each(l):
			return errEnough
		}
		return nil
	})
}

// acceptedSince calls each with the runs that were accepted behind the lines, the
// newest first.
func (x *Index) acceptedSince(ctx context.Context, state State, each func(touched) error) error {
	stretch := uint64(firstStretch)
	for last := state.Newest; last > state.Through; {
		first := max(state.Through, last-min(last, stretch)) + 1
		var runs []touched
		err := x.stored.Scan(ctx, events.StreamFacts, streams.FromSequence(first), events.TypePipelineAccepted+".*", func(m streams.Message) error {
			if m.Sequence > last {
				return errEnough
			}
			if a, err := events.ParseSubject(m.OriginalSubject()); err == nil {
				runs = append(runs, touched{a.Run, m.Sequence})
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		for _, run := range slices.Backward(runs) {
			if err := each(run); err != nil {
				return err
			}
		}
		last, stretch = first-1, min(2*stretch, longestStretch)
	}
	return nil
}

// stale returns what says whether a line may be older than the facts of its run.
func (x *Index) stale(ctx context.Context, state State) (func(Line) bool, error) {
	switch {
	case state.Behind() == 0:
		return func(Line) bool { return false }, nil
	case state.Behind() > fewFacts:
		return func(l Line) bool { return !l.Ended() }, nil
	}
	changed, err := x.changed(ctx, state.Through+1, state.Newest)
	return func(l Line) bool { return changed[l.RunID] }, err
}

// changed returns the runs that have facts between two sequences, both included.
func (x *Index) changed(ctx context.Context, first, last uint64) (map[string]bool, error) {
	runs := map[string]bool{}
	err := x.stored.Scan(ctx, events.StreamFacts, streams.FromSequence(first), ">", func(m streams.Message) error {
		if m.Sequence > last {
			return errEnough
		}
		if a, err := events.ParseSubject(m.OriginalSubject()); err == nil && a.Type != events.TypePipelineRejected {
			runs[a.Run] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return runs, nil
}
