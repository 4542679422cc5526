package projection

import (
	"errors"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// Snapshot is the state of a run at one moment. It does not depend on whether
// the run was tracked before.
type Snapshot struct {
	// Run is the fold of the facts, without where it is tracked.
	Run events.Run
	// NewestSequence is the stream sequence of the newest fact, except
	// tracking.completed.
	NewestSequence uint64
	// TrackedSequence is the stream sequence of tracking.completed; 0 if the
	// run is not tracked.
	TrackedSequence uint64
	// FencingToken is the stream sequence of the newest fact about the run or
	// a phase as a whole, and not about an attempt or a job.
	// tracking.completed is published under it.
	FencingToken uint64
	// Unreadable describes the facts that cannot be read.
	Unreadable []string
	// UnknownVersionAt is when the newest fact of an unknown version was
	// stored; zero if there is none.
	UnknownVersionAt time.Time

	started map[events.Phase]time.Time // the first attempt at each phase
}

// FromFacts takes all facts of one run.
func FromFacts(facts []codec.Message) Snapshot {
	s := Snapshot{Run: history.Fold(facts), started: map[events.Phase]time.Time{}}
	s.Run.Tracked = nil
	if unreadable, ok := errors.AsType[*history.UnreadableError](history.Unreadable(facts)); ok {
		for _, f := range unreadable.Facts {
			s.Unreadable = append(s.Unreadable, f.String())
		}
	}
	for _, f := range facts {
		s.add(f)
	}
	return s
}

func (s *Snapshot) add(f codec.Message) {
	if a, err := events.ParseSubject(f.Subject); err == nil && a.Detail == "" {
		s.FencingToken = max(s.FencingToken, f.Sequence)
	}
	if _, ok := errors.AsType[*events.UnknownVersionError](f.Unreadable); ok {
		s.UnknownVersionAt = f.Time
	}
	switch e := f.Event.(type) {
	case events.TrackingCompleted:
		s.TrackedSequence = f.Sequence
		return
	case events.PhaseStarted:
		if e.Attempt == 1 {
			s.started[e.Phase] = f.Time
			if !e.StartedAt.IsZero() {
				s.started[e.Phase] = e.StartedAt
			}
		}
	}
	s.NewestSequence = max(s.NewestSequence, f.Sequence)
}

// UpToDate reports whether there is nothing to write or to remove: no fact is newer
// than tracking.completed, or the run is unknown.
func (s Snapshot) UpToDate() bool {
	return s.Run.Accepted == nil && s.Run.Deleted == nil || s.TrackedSequence > s.NewestSequence
}

// HasChild reports whether the facts suffice for the MLflow run of a phase.
// MLflow takes its start and its inputs only once, so the job and the first
// attempt have to be known.
func (s Snapshot) HasChild(p events.Phase) bool {
	_, started := s.started[p]
	state := s.Run.Phases[p]
	return started && state != nil && state.Requested != nil
}
