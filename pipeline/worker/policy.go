package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// policy is how often and how long a job is worked on: what its specification
// says, and the worker's own where that says nothing.
type policy struct {
	tries, crashes int
	backoff        time.Duration
	longest        time.Duration // of the delays between two tries; 0: none is too long
	timeout        time.Duration // of all attempts together; 0: none
}

func (w *Worker) policy(req events.PhaseRequested) policy {
	p := policy{
		tries: w.cfg.MaxTries, crashes: w.cfg.MaxCrashes, backoff: w.cfg.Backoff, longest: w.cfg.MaxBackoff,
		timeout: req.Specification.Timeout(req.Phase),
	}
	asked := req.Specification.Pipeline
	if asked.MaxTries > 0 {
		p.tries = asked.MaxTries
	}
	if asked.MaxCrashes > 0 {
		p.crashes = asked.MaxCrashes
	}
	if d := asked.FirstBackoff(); d > 0 {
		p.backoff = d
	}
	return p
}

// delay is how long a job waits before it is tried again, after as many tries
// that ended by an error: backoff to one and a half times of it after the
// first, then twice as long each time, and never longer than the longest.
func (p policy) delay(tries int) time.Duration {
	const doublings, enough = 6, time.Duration(1) << 61
	d := min(p.backoff, enough)
	d += d / 2
	for n := 1; n < tries && n <= doublings && d < enough; n++ {
		d *= 2
	}
	if p.longest > 0 {
		d = min(d, p.longest)
	}
	return d - time.Duration(rand.Int64N(int64(d)/3+1))
}

// usedUp says why no further attempt may work on a phase, or nil.
func (p policy) usedUp(state *events.PhaseState) error {
	if n := state.Tries(); n >= p.tries {
		last := lastError(state)
		if last == nil {
			last = errors.New("no error was reported")
		}
		return fmt.Errorf("gave up after %d tries: %w", n, last)
	}
	if n := state.Crashes(); n >= p.crashes {
		return &Fault{Code: "crashed", Err: fmt.Errorf("gave up after %d attempts that ended without a word, most often because the process was killed; look at its memory", n)}
	}
	return nil
}

// lastError is the error that the latest attempt that named one ended by.
func lastError(state *events.PhaseState) error {
	if state == nil {
		return nil
	}
	for i := len(state.Attempts) - 1; i >= 0; i-- {
		if e := state.Attempts[i].Ended; e != nil && e.Error != nil {
			return &Fault{Code: e.Error.Code, Err: errors.New(e.Error.Message)}
		}
	}
	return nil
}

// began is when the phase's first attempt began.
func (c *claim) began() time.Time {
	if t := c.run.Phases[c.req.Phase].Began(); !t.IsZero() {
		return t
	}
	return c.started
}

// until is when the phase has to be done; ok is false if it may take for ever.
func (c *claim) until() (_ time.Time, ok bool) {
	return c.began().Add(c.policy.timeout), c.policy.timeout > 0
}

// overtime is the error of a phase that is not done in time.
func (c *claim) overtime() *Fault {
	text := fmt.Sprintf("the phase did not end within %s.timeout = %s of the start of its first attempt, %s",
		spec.Section(c.req.Phase), c.policy.timeout, c.began().Format(time.RFC3339))
	if last := lastError(c.run.Phases[c.req.Phase]); last != nil {
		text += "; the last error: " + last.Error()
	}
	return &Fault{Code: "timeout", Permanent: true, Err: errors.New(text)}
}

// decided says what the claimed job comes to without any work, if it does.
func (c *claim) decided() (verdict, bool) {
	if used := c.policy.usedUp(c.run.Phases[c.req.Phase]); used != nil {
		return verdict{permanent, used}, true
	}
	if c.run.Cancel != nil {
		return verdict{class: cancelled}, true
	}
	if until, ok := c.until(); ok && !c.started.Before(until) {
		return verdict{permanent, c.overtime()}, true
	}
	return verdict{}, false
}
