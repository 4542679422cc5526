package tracker

import (
	"errors"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// story is a run as the projection sees it. It is the same whether or not the
// run has been tracked before.
type story struct {
	// run is the fold of the facts, but for where it is tracked.
	run events.Run
	// newest is the sequence of the newest fact, and tracked that of
	// tracking.completed, which is not counted there; 0 where there is none.
	newest, tracked uint64
	// whole is the sequence of the newest fact that tells of the run or a
	// phase as a whole, not of an attempt or a job.
	whole uint64
	// began is when the first attempt at each phase was started.
	began map[events.Phase]time.Time
	// unreadable are the facts that cannot be read, and unknown is when the
	// newest one came of a version that nobody knows here.
	unreadable []string
	unknown    time.Time
}

func tell(facts []codec.Message) story {
	s := story{run: history.Fold(facts), began: map[events.Phase]time.Time{}}
	s.run.Tracked = nil
	var bad *history.UnreadableError
	if errors.As(history.Unreadable(facts), &bad) {
		for _, f := range bad.Facts {
			s.unreadable = append(s.unreadable, f.String())
		}
	}
	for _, f := range facts {
		if a, err := events.ParseSubject(f.Subject); err == nil && a.Detail == "" {
			s.whole = max(s.whole, f.Sequence)
		}
		var newer *events.UnknownVersionError
		if errors.As(f.Unreadable, &newer) {
			s.unknown = f.Time
		}
		switch e := f.Event.(type) {
		case events.TrackingCompleted:
			s.tracked = f.Sequence
			continue
		case events.PhaseStarted:
			if e.Attempt == 1 {
				s.began[e.Phase] = f.Time
				if !e.StartedAt.IsZero() {
					s.began[e.Phase] = e.StartedAt
				}
			}
		}
		s.newest = max(s.newest, f.Sequence)
	}
	return s
}

// settled reports whether there is nothing to write: the run is tracked as it
// is, or nobody knows it.
func (s story) settled() bool {
	return s.run.Accepted == nil || s.tracked > s.newest
}

// begun reports whether enough is known of a phase for its MLflow run, whose
// start and inputs are written once: its job, and its first attempt.
func (s story) begun(p events.Phase) bool {
	_, started := s.began[p]
	state := s.run.Phases[p]
	return started && state != nil && state.Requested != nil
}
