package progress

import (
	"slices"
	"sync/atomic"
	"time"
)

// Monitor watches the progress of one job. It is safe for concurrent use; the
// methods of a nil Monitor do nothing.
type Monitor struct {
	limits   Limits
	interval time.Duration // between two looks
	clock    func() time.Time
	last     atomic.Pointer[look]
	state    atomic.Pointer[state]
}

// look is a look of the monitor: when it was, and how long the monitor had been
// running then.
type look struct {
	at      time.Time
	running time.Duration
}

// state is what the job does. It is replaced as a whole and never changed.
type state struct {
	open    []span // the stage of the job, and what is open inside it; never empty
	retired bool
	stall   *Stall // nil until there is one
}

// span is an activity with its clock.
type span struct {
	*Activity
	idle  time.Duration // without progress
	since time.Duration // when idle was computed
	seen  int64         // what was counted until then
}

// New returns the monitor of a job that is in a stage.
func New(limits Limits, s Stage) *Monitor { return newMonitor(limits, s, time.Now) }

func newMonitor(limits Limits, s Stage, clock func() time.Time) *Monitor {
	m := &Monitor{limits: limits, interval: interval(limits), clock: clock}
	m.last.Store(&look{at: clock()})
	m.state.Store(&state{open: []span{m.span(&Activity{stage: s})}})
	return m
}

// interval returns how often a monitor looks: often enough that a stall is seen
// soon after its limit.
func interval(limits Limits) time.Duration {
	const shortest, longest, looks = 5 * time.Millisecond, 5 * time.Second, 20
	d := longest
	for _, limit := range limits {
		if limit > 0 {
			d = min(d, limit/looks)
		}
	}
	return max(d, shortest)
}

// now is how long the monitor has been running. The time between two looks
// counts only up to twice the interval, because otherwise the process did not
// run.
func (m *Monitor) now() time.Duration {
	last := m.last.Load()
	return last.running + min(max(m.clock().Sub(last.at), 0), 2*m.interval)
}

func (m *Monitor) span(a *Activity) span {
	a.monitor = m
	return span{Activity: a, since: m.now(), seen: a.counted.Load()}
}

// SetStage says that the job is in a stage from now on. The stage that it is in
// already goes on.
func (m *Monitor) SetStage(s Stage) {
	if m == nil {
		return
	}
	m.change(func(next *state) {
		if next.open[0].stage != s {
			next.open[0] = m.span(&Activity{stage: s})
		}
	})
}

// Advance counts n bytes, rows or tokens in the stage of the job.
func (m *Monitor) Advance(n int64) {
	if m != nil {
		m.state.Load().open[0].Advance(n)
	}
}

// Step counts a step in the stage of the job. The first one ends [FirstStep].
func (m *Monitor) Step() {
	if m != nil {
		job := m.state.Load().open[0]
		job.steps.Add(1)
		job.Advance(1)
	}
}

// Retire says that the work is over, and that the job is in another stage. It
// returns the stall, if there was one before: either the caller knows of it, or
// it comes late (see [Stall.Late]).
func (m *Monitor) Retire(s Stage) *Stall {
	if m == nil {
		return nil
	}
	m.SetStage(s)
	return m.change(func(next *state) { next.retired = true }).stall
}

// Stall returns the stall; nil if there was none.
func (m *Monitor) Stall() *Stall {
	if m == nil {
		return nil
	}
	return m.state.Load().stall
}

// push opens an activity inside what is open already.
func (m *Monitor) push(a *Activity) *Activity {
	a.monitor = m
	m.change(func(next *state) { next.open = append(next.open, m.span(a)) })
	return a
}

// pop ends an activity. The one that it was inside of gets its clock back.
func (m *Monitor) pop(a *Activity) {
	m.change(func(next *state) {
		next.open = slices.DeleteFunc(next.open, func(s span) bool { return s.Activity == a })
		next.open[len(next.open)-1].since = m.now()
	})
}

// change replaces the state by an edited copy, in which the clock of the
// innermost activity is up to date.
func (m *Monitor) change(edit func(next *state)) *state {
	for {
		before := m.state.Load()
		next := *before
		next.open = slices.Clone(before.open)
		next.open[len(next.open)-1].update(m.now())
		edit(&next)
		if m.state.CompareAndSwap(before, &next) {
			return &next
		}
	}
}

// update brings the clock up to date.
func (s *span) update(now time.Duration) {
	s.idle += now - s.since
	if n := s.counted.Load(); n != s.seen {
		s.seen, s.idle = n, 0
	}
	s.since = now
}

// doing is what the innermost activity does that has named it; empty if none has.
func (s *state) doing() string {
	for _, a := range slices.Backward(s.open) {
		if d := a.doing.Load(); d != nil {
			return d.what
		}
	}
	return ""
}

// limit is the stage that the activity counts as, and its limit.
func (m *Monitor) limit(a *Activity) (s, key Stage, limit time.Duration) {
	if a.stage == "" {
		return m.state.Load().open[0].stage, "", a.limit
	}
	_, hasFirst := m.limits[FirstStep]
	if hasFirst && a.steps.Load() == 0 && slices.Contains([]Stage{Train, Generate, Score}, a.stage) {
		key, limit = m.limits.of(FirstStep)
		return FirstStep, key, limit
	}
	key, limit = m.limits.of(a.stage)
	return a.stage, key, limit
}

// look brings the clocks up to date. It returns the stall when it sees it, and
// the innermost activity.
func (m *Monitor) look() (*Stall, span) {
	now := m.now()
	m.last.Store(&look{at: m.clock(), running: now})
	var stall *Stall
	next := m.change(func(next *state) {
		stall = nil
		inner := next.open[len(next.open)-1]
		s, key, limit := m.limit(inner.Activity)
		if next.stall == nil && limit > 0 && inner.idle >= limit {
			stall = &Stall{
				Stage: s, Key: key, WaitsFor: inner.waitsFor, Doing: next.doing(), Limit: limit, Idle: inner.idle, Late: next.retired,
			}
			next.stall = stall
		}
	})
	return stall, next.open[len(next.open)-1]
}
