package audit

import (
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// PID returns the process id in the name of a worker, which consists of host,
// process and a nonce. ok is false for other names.
func PID(worker string) (pid int, ok bool) {
	parts := strings.Split(worker, "-")
	if len(parts) < 3 {
		return 0, false
	}
	pid, err := strconv.Atoi(parts[len(parts)-2])
	return pid, err == nil
}

// stepAudit checks that an attempt of a training repeats at most as many steps
// as lie between two checkpoints. More are allowed only if the checkpoints
// between could not be registered because NATS was unreachable.
type stepAudit struct {
	*findings
	outages []snapshot.Outage
}

// trainedSteps are the steps of an attempt that its progress events show.
type trainedSteps struct {
	started storedFact
	from    int64 // the step that the attempt resumed from
	last    int64 // the last step before the next attempt started; 0: unknown
	// doneAt is the time of each step.
	doneAt map[int64]time.Time
	// until is the start of the next attempt; zero if there is none.
	until time.Time
}

func (a stepAudit) check(r *runHistory) {
	saveSteps := int64(r.accepted.Specification.FineTuner.SaveSteps)
	if saveSteps == 0 {
		return
	}
	var earlier []trainedSteps
	reached := int64(0) // by the earlier attempts
	all := r.attemptsAt(events.Finetune)
	for n := 1; all[n].started.Sequence != 0; n++ {
		s := stepsOf(r, n, all)
		repeated := reached - s.from
		if n > 1 && s.last > 0 && repeated > saveSteps {
			if due, ok := a.registrableCheckpoint(earlier, s.from, reached, saveSteps); ok {
				a.add(Repeated, s.started.Subject,
					"went on from step %d, and step %d had been reached: %d steps again, and a checkpoint was due every %d, also at step %d",
					s.from, reached, repeated, saveSteps, due)
			}
		}
		reached = max(reached, s.last)
		earlier = append(earlier, s)
	}
}

// stepsOf returns the steps of attempt n.
func stepsOf(r *runHistory, n int, all map[int]attempt) trainedSteps {
	s := trainedSteps{started: all[n].started, doneAt: map[int64]time.Time{}}
	s.from = s.started.event.(events.PhaseStarted).ResumedFrom
	next := all[n+1].started
	if next.Sequence != 0 {
		s.until = next.Time
	}
	first := int64(-1)
	for _, p := range r.progress[events.Finetune] {
		// A stale worker may continue for a moment after the next attempt
		// started. That does not count as a repetition.
		if p.event.Attempt != n || next.Sequence != 0 && p.Time.After(next.Time) || p.event.Step == 0 {
			continue
		}
		if first < 0 {
			first = p.event.Step
		}
		s.last = max(s.last, p.event.Step)
		s.setDone(p.event.Step, p.Time) // a repeated step has no points
		for _, point := range p.event.Points {
			s.setDone(point.Step, point.Time)
		}
	}
	if first > 0 {
		s.from = first - 1
	}
	return s
}

// setDone stores the earliest time of a step.
func (s trainedSteps) setDone(step int64, at time.Time) {
	if known, ok := s.doneAt[step]; !ok || at.Before(known) {
		s.doneAt[step] = at
	}
}

// registrableCheckpoint returns the first checkpoint between two steps that an
// earlier attempt passed while NATS was reachable.
func (a stepAudit) registrableCheckpoint(earlier []trainedSteps, from, reached, saveSteps int64) (due int64, ok bool) {
	for due = from/saveSteps*saveSteps + saveSteps; due < reached; due += saveSteps {
		for _, s := range earlier {
			if s.from < due && due < s.last && !a.unreachable(s.pid(), s.savingTime(due)) {
				return due, true
			}
		}
	}
	return 0, false
}

// timeRange is a range of time. A zero end means no limit.
type timeRange struct{ from, to time.Time }

// savingTime returns the longest time in which the attempt can have saved the
// checkpoint of a step: from the last known step up to it to the first known
// step after it.
func (s trainedSteps) savingTime(due int64) timeRange {
	r := timeRange{from: s.started.Time, to: s.until}
	for step, at := range s.doneAt {
		if step <= due && at.After(r.from) {
			r.from = at
		}
		if step > due && (r.to.IsZero() || at.Before(r.to)) {
			r.to = at
		}
	}
	return r
}

// pid returns the process of the attempt, or 0 if it is unknown.
func (s trainedSteps) pid() int {
	pid, _ := PID(s.started.event.(events.PhaseStarted).Worker)
	return pid
}

// unreachable reports whether NATS was unreachable for a process at any time in
// the range.
func (a stepAudit) unreachable(pid int, r timeRange) bool {
	for _, o := range a.outages {
		if (o.PID == 0 || o.PID == pid) && !o.To.Before(r.from) && (r.to.IsZero() || !o.From.After(r.to)) {
			return true
		}
	}
	return false
}
