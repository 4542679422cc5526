package audit

import (
	"github.com/tunebus/tunebus/events"
)

// attempt is one attempt as the stream tells it; a sequence of 0 is a fact
// that is not there.
type attempt struct {
	started, ended fact
}

// attempts wants numbers without a gap, each attempt ended before the next
// began, and the last one to complete the phase, after which nobody began.
func (c *check) attempts(r *story) {
	for _, p := range events.Phases() {
		state := r.fold.Phases[p]
		if state == nil {
			continue
		}
		all := r.attemptsAt(p)
		for i, a := range state.Attempts {
			this := all[a.Number]
			subject := events.PhaseStarted{RunID: r.id, Phase: p, Attempt: a.Number}.Subject()
			switch {
			case a.Started == nil:
				c.add(Torn, this.ended.Subject, "the attempt ended and never started")
				continue
			case a.Number != i+1:
				c.add(Torn, subject, "is the attempt after %d", i)
			}
			next, last := all[a.Number+1], i == len(state.Attempts)-1
			if !last && next.started.Sequence != 0 {
				if next.started.Sequence < this.started.Sequence {
					c.add(Torn, subject, "was stored after attempt %d", a.Number+1)
				}
				// Only an attempt that lost the job says so later.
				if next.started.Sequence < this.ended.Sequence && a.Ended.Reason != events.EndLost {
					c.add(Torn, this.ended.Subject, "was stored after attempt %d had started", a.Number+1)
				}
			}
		}
		c.completion(r, p, all)
	}
}

// completion wants the newest attempt to have completed the phase.
func (c *check) completion(r *story, p events.Phase, all map[int]attempt) {
	for _, f := range r.facts {
		done, ok := f.what.(events.PhaseCompleted)
		if !ok || done.Phase != p {
			continue
		}
		own := all[done.Attempt]
		switch {
		case own.started.Sequence == 0:
			c.add(Torn, f.Subject, "was completed by attempt %d, which never started", done.Attempt)
		case own.started.Sequence > f.Sequence:
			c.add(Torn, own.started.Subject, "was stored after the phase was completed by it")
		}
		if own.ended.Sequence != 0 {
			c.add(Torn, own.ended.Subject, "says that the attempt ended, and it completed the phase")
		}
		for n, a := range all {
			switch {
			case n == done.Attempt:
			case a.started.Sequence > f.Sequence:
				c.add(Duplicated, a.started.Subject, "the phase was worked on after its completion")
			case n > done.Attempt:
				c.add(Duplicated, f.Subject, "was completed by attempt %d, while attempt %d held the job", done.Attempt, n)
			}
		}
	}
}

func (r *story) attemptsAt(p events.Phase) map[int]attempt {
	all := map[int]attempt{}
	for _, f := range r.facts {
		switch e := f.what.(type) {
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
