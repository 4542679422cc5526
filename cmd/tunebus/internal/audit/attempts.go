package audit

import (
	"github.com/tunebus/tunebus/events"
)

// attempt is an attempt in the stream. The sequence of a fact that is not
// stored is 0.
type attempt struct {
	started, ended storedFact
}

// attemptsAt returns the attempts of a phase by number.
func (r *runHistory) attemptsAt(p events.Phase) map[int]attempt {
	all := map[int]attempt{}
	for _, f := range r.facts {
		switch e := f.event.(type) {
		case events.PhaseStarted:
			if e.Phase == p {
				a := all[e.Attempt]
				a.started = f
				all[e.Attempt] = a
			}
		case events.AttemptEnded:
			if e.Phase == p {
				a := all[e.Attempt]
				a.ended = f
				all[e.Attempt] = a
			}
		}
	}
	return all
}

// attemptAudit checks the attempts of each phase: their numbers have no gap,
// each ended before the next one started, and the last one completed the phase.
type attemptAudit struct {
	*findings
}

func (a attemptAudit) check(r *runHistory) {
	for _, p := range events.Phases() {
		state := r.run.Phases[p]
		if state == nil {
			continue
		}
		all := r.attemptsAt(p)
		for i := range state.Attempts {
			a.checkAttempt(r, p, i, all)
		}
		a.checkCompletion(r, p, all)
	}
}

// checkAttempt checks the attempt at an index of the folded run.
func (a attemptAudit) checkAttempt(r *runHistory, p events.Phase, i int, all map[int]attempt) {
	attempts := r.run.Phases[p].Attempts
	folded := attempts[i]
	stored, next := all[folded.Number], all[folded.Number+1]
	subject := events.PhaseStarted{RunID: r.id, Phase: p, Attempt: folded.Number}.Subject()
	switch {
	case folded.Started == nil:
		a.add(Torn, stored.ended.Subject, "the attempt ended and never started")
		return
	case folded.Number != i+1:
		a.add(Torn, subject, "is the attempt after %d", i)
	}
	if last := i == len(attempts)-1; last || next.started.Sequence == 0 {
		return
	}
	if next.started.Sequence < stored.started.Sequence {
		a.add(Torn, subject, "was stored after attempt %d", folded.Number+1)
	}
	// Only an attempt that lost its job may publish its end later.
	if next.started.Sequence < stored.ended.Sequence && folded.Ended.Reason != events.EndLost {
		a.add(Torn, stored.ended.Subject, "was stored after attempt %d had started", folded.Number+1)
	}
}

// checkCompletion checks that the newest attempt completed the phase, and that
// no attempt started later.
func (a attemptAudit) checkCompletion(r *runHistory, p events.Phase, all map[int]attempt) {
	for _, f := range r.facts {
		completed, ok := f.event.(events.PhaseCompleted)
		if !ok || completed.Phase != p {
			continue
		}
		winner := all[completed.Attempt]
		switch {
		case winner.started.Sequence == 0:
			a.add(Torn, f.Subject, "was completed by attempt %d, which never started", completed.Attempt)
		case winner.started.Sequence > f.Sequence:
			a.add(Torn, winner.started.Subject, "was stored after the phase was completed by it")
		}
		if winner.ended.Sequence != 0 {
			a.add(Torn, winner.ended.Subject, "says that the attempt ended, and it completed the phase")
		}
		for n, other := range all {
			switch {
			case n == completed.Attempt:
			case other.started.Sequence > f.Sequence:
				a.add(Duplicated, other.started.Subject, "the phase was worked on after its completion")
			case n > completed.Attempt:
				a.add(Duplicated, f.Subject, "was completed by attempt %d, while attempt %d owned the job", completed.Attempt, n)
			}
		}
	}
}
