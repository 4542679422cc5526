package audit

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

// stint is what an attempt at a training announced: where it was before the
// next one started, and where it went on.
type stint struct {
	started fact
	from    int64
	top     int64 // 0: nothing is known
	// at is when each step was done, over when the next attempt started, which
	// is zero for the last one.
	at   map[int64]time.Time
	over time.Time
}

// work wants that an attempt repeated no more steps of a training than lie
// between two checkpoints, but for those of which nobody could be told.
func (c *check) work(r *story) {
	every := int64(r.accepted.Specification.FineTuner.SaveSteps)
	if every == 0 {
		return
	}
	var before []stint
	reached := int64(0) // by the attempts so far
	all := r.attemptsAt(events.Finetune)
	for n := 1; all[n].started.Sequence != 0; n++ {
		s := r.stint(n, all)
		again := reached - s.from
		if n > 1 && s.top > 0 && again > every {
			if due, ok := c.ought(before, s.from, reached, every); ok {
				c.add(Repeated, s.started.Subject, "went on from step %d, and step %d had been reached: %d steps again, and a checkpoint was due every %d, also at step %d", s.from, reached, again, every, due)
			}
		}
		reached = max(reached, s.top)
		before = append(before, s)
	}
}

// stint reads an attempt.
func (r *story) stint(n int, all map[int]attempt) stint {
	s := stint{started: all[n].started, at: map[int64]time.Time{}}
	s.from = s.started.what.(events.PhaseStarted).ResumedFrom
	next := all[n+1].started
	if next.Sequence != 0 {
		s.over = next.Time
	}
	first := int64(-1)
	for _, p := range r.points[events.Finetune] {
		// A stale worker that goes on for a moment repeats nothing by it.
		if p.what.Attempt != n || next.Sequence != 0 && p.Time.After(next.Time) || p.what.Step == 0 {
			continue
		}
		if first < 0 {
			first = p.what.Step
		}
		s.top = max(s.top, p.what.Step)
		s.did(p.what.Step, p.Time) // a repeated step has no point
		for _, point := range p.what.Points {
			s.did(point.Step, point.Time)
		}
	}
	if first > 0 {
		s.from = first - 1
	}
	return s
}

// did notes when a step was done.
func (s stint) did(step int64, at time.Time) {
	if known, ok := s.at[step]; !ok || at.Before(known) {
		s.at[step] = at
	}
}

// ought finds a checkpoint between two steps that an attempt passed while
// somebody could be told of it.
func (c *check) ought(before []stint, from, reached, every int64) (due int64, ok bool) {
	for due = from/every*every + every; due < reached; due += every {
		for _, s := range before {
			if s.from < due && due < s.top && !c.away(s.worker(), s.saving(due)) {
				return due, true
			}
		}
	}
	return 0, false
}

// window is a time. A zero end is no bound.
type window struct{ From, To time.Time }

// saving is the time in which an attempt saved what was due at a step, at the
// most: from the last step up to there that is known to the first one behind.
func (s stint) saving(due int64) window {
	w := window{From: s.started.Time, To: s.over}
	for step, at := range s.at {
		if step <= due && at.After(w.From) {
			w.From = at
		}
		if step > due && (w.To.IsZero() || at.Before(w.To)) {
			w.To = at
		}
	}
	return w
}

// worker is the process of an attempt, 0 if nobody knows.
func (s stint) worker() int {
	pid, _ := PID(s.started.what.(events.PhaseStarted).Worker)
	return pid
}

// away reports whether NATS was away, as far as a process is concerned, at any
// time between two times.
func (c *check) away(pid int, w window) bool {
	for _, o := range c.state.Outages {
		if (o.PID == 0 || o.PID == pid) && !o.To.Before(w.From) && (w.To.IsZero() || !o.From.After(w.To)) {
			return true
		}
	}
	return false
}
