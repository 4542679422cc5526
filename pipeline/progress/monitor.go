package progress

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Monitor watches the progress of one job. It is safe for concurrent use; the
// methods of a nil Monitor do nothing.
type Monitor struct {
	limits   Limits
	interval time.Duration // between two looks
	clock    func() time.Time
	job      atomic.Pointer[Activity] // the stage of the job; counting takes no lock

	mu      sync.Mutex // held for moments, never while something is called that may wait
	at      time.Time  // of the last look
	running time.Duration
	state   state
}

// state is what the job does.
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
	m := &Monitor{limits: limits, interval: interval(limits), clock: clock, at: clock()}
	m.state.open = append(make([]span, 0, 3), m.span(&Activity{stage: s}))
	m.job.Store(m.state.open[0].Activity)
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
// run. The caller holds the lock.
func (m *Monitor) now() time.Duration {
	return m.running + min(max(m.clock().Sub(m.at), 0), 2*m.interval)
}

// span is the clock of an activity that begins. The caller holds the lock.
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setStage(s)
}

// setStage is SetStage for who holds the lock.
func (m *Monitor) setStage(s Stage) {
	m.update()
	if open := m.state.open; open[0].stage != s {
		open[0] = m.span(&Activity{stage: s})
		m.job.Store(open[0].Activity)
	}
}

// Advance counts n bytes, rows or tokens in the stage of the job.
func (m *Monitor) Advance(n int64) {
	if m != nil {
		m.job.Load().Advance(n)
	}
}

// Step counts a step in the stage of the job. The first one ends [FirstStep].
func (m *Monitor) Step() {
	if m != nil {
		job := m.job.Load()
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setStage(s)
	m.state.retired = true
	return m.state.stall
}

// Stall returns the stall; nil if there was none.
func (m *Monitor) Stall() *Stall {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.stall
}

// push opens an activity inside what is open already.
func (m *Monitor) push(a *Activity) *Activity {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.update()
	m.state.open = append(m.state.open, m.span(a))
	return a
}

// pop ends an activity. The one that it was inside of gets its clock back.
func (m *Monitor) pop(a *Activity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.update()
	m.state.open = slices.DeleteFunc(m.state.open, func(s span) bool { return s.Activity == a })
	m.state.inner().since = m.now()
}

// update brings the clock of the innermost activity up to date. The caller holds the
// lock.
func (m *Monitor) update() { m.state.inner().update(m.now()) }

// inner is the innermost activity.
func (s *state) inner() *span { return &s.open[len(s.open)-1] }

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
		return m.job.Load().stage, "", a.limit
	}
	_, hasFirst := m.limits[FirstStep]
	if hasFirst && a.steps.Load() == 0 && slices.Contains([]Stage{Train, Generate, Score}, a.stage) {
		key, limit = m.limits.of(FirstStep)
		return FirstStep, key, limit
	}
	key, limit = m.limits.of(a.stage)
	return a.stage, key, limit
}

// view is what a look sees.
type view struct {
	span                // the innermost activity
	now   time.Duration // how long the monitor has been running
	doing string
	stall *Stall // that it sees for the first time
}

// look brings the clocks up to date.
func (m *Monitor) look() view {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running, m.at = m.now(), m.clock()
	m.update()
	inner := m.state.inner()
	v := view{span: *inner, now: m.running, doing: m.state.doing()}
	s, key, limit := m.limit(inner.Activity)
	if m.state.stall == nil && limit > 0 && inner.idle >= limit {
		v.stall = &Stall{
			Stage: s, Key: key, WaitsFor: inner.waitsFor, Doing: v.doing, Limit: limit, Idle: inner.idle, Late: m.state.retired,
		}
		m.state.stall = v.stall
	}
	return v
}
