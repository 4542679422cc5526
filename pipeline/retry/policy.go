package retry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// Policy is how often and how long a job is worked on.
type Policy struct {
	// Tries is how many attempts may end by an error, Crashes how many may end
	// without an attempt_ended event, because their process was killed, or
	// because they stalled.
	Tries, Crashes int
	// Backoff is the delay before the second try, MaxBackoff the longest delay;
	// 0: no limit.
	Backoff, MaxBackoff time.Duration
	// Timeout limits all attempts together; 0: no limit.
	Timeout time.Duration
}

// The policy of a job whose specification does not set one.
const (
	defaultTries   = 3
	defaultCrashes = 5
	defaultBackoff = 5 * time.Second
)

// sameStalls is how many attempts in a row may stall without getting any further. Each
// of them holds a slot of a worker, so that a file that hangs when it is opened must not
// reach as many workers as crashes may.
const sameStalls = 3

// NewPolicy reads the policy of a job's specification.
func NewPolicy(req events.PhaseRequested, maxBackoff time.Duration) Policy {
	p := Policy{
		Tries:      defaultTries,
		Crashes:    defaultCrashes,
		Backoff:    defaultBackoff,
		MaxBackoff: maxBackoff,
		Timeout:    req.Specification.Timeout(req.Phase),
	}
	s := req.Specification.Pipeline
	if s.MaxTries > 0 {
		p.Tries = s.MaxTries
	}
	if s.MaxCrashes > 0 {
		p.Crashes = s.MaxCrashes
	}
	if d := s.FirstBackoff(); d > 0 {
		p.Backoff = d
	}
	return p
}

// Delay is how long a job waits before its next try, after a number of tries
// that ended by an error. After the first it is between Backoff and one and a
// half times of it. It doubles with each try, up to MaxBackoff.
func (p Policy) Delay(tries int) time.Duration {
	const doublings, enough = 6, time.Duration(1) << 61
	d := min(p.Backoff, enough)
	d += d / 2
	for n := 1; n < tries && n <= doublings && d < enough; n++ {
		d *= 2
	}
	if p.MaxBackoff > 0 {
		d = min(d, p.MaxBackoff)
	}
	return d - time.Duration(rand.Int64N(int64(d)/3+1))
}

// UsedUp returns why no further attempt may work on a phase, or nil.
func (p Policy) UsedUp(state *events.PhaseState) error {
	if n := state.Tries(); n >= p.Tries {
		last := lastError(state, func(a events.Attempt) bool { return a.Ended.Reason == events.EndError })
		if last == nil {
			last = errors.New("no error was reported")
		}
		return fmt.Errorf("gave up after %d tries: %w", n, last)
	}
	if n := state.Crashes(); n >= p.Crashes {
		return crashed(state, n)
	}
	if n := stalledInARow(state); n >= sameStalls {
		return &engine.JobError{Code: events.CodeStalled, Err: fmt.Errorf(
			"gave up after %d attempts in a row that made no progress and got no further; the last one: %w", n, lastError(state, events.Attempt.Stalled))}
	}
	return nil
}

// stalledInARow is how many of the latest attempts stalled one after the other, and ended
// at the same step.
func stalledInARow(state *events.PhaseState) (n int) {
	if state == nil {
		return 0
	}
	for _, a := range slices.Backward(state.Attempts) {
		last := state.Attempts[len(state.Attempts)-1]
		if !a.Stalled() || a.Ended.LastStep != last.Ended.LastStep {
			return n
		}
		n++
	}
	return n
}

// crashed is the error of a phase of which n attempts crashed or stalled.
func crashed(state *events.PhaseState, n int) error {
	const killed = "ended without a word, most often because the process was killed; look at its memory"
	stalled := 0
	for _, a := range state.Attempts {
		if a.Stalled() {
			stalled++
		}
	}
	if stalled == 0 {
		return &engine.JobError{Code: "crashed", Err: fmt.Errorf("gave up after %d attempts that %s", n, killed)}
	}
	what, last := "made no progress; the last one", int64(0)
	for _, a := range state.Attempts {
		if a.Stalled() {
			last = a.Ended.LastStep
		}
	}
	if last > 0 { // what they did up to there is kept
		what = fmt.Sprintf("came to a standstill, the last one behind step %d", last)
	}
	text := fmt.Sprintf("gave up after %d attempts that %s: %v", stalled, what, lastError(state, events.Attempt.Stalled))
	if stalled < n {
		text += fmt.Sprintf("; %d more %s", n-stalled, killed)
	}
	return &engine.JobError{Code: events.CodeStalled, Err: errors.New(text)}
}

// LastError is the error of the latest attempt that ended by one; nil if none
// did.
func LastError(state *events.PhaseState) error {
	return lastError(state, func(events.Attempt) bool { return true })
}

// lastError is the error of the latest attempt that matches and ended by one.
func lastError(state *events.PhaseState, matches func(events.Attempt) bool) error {
	if state == nil {
		return nil
	}
	for _, a := range slices.Backward(state.Attempts) {
		if a.Ended != nil && a.Ended.Error != nil && matches(a) {
			return &engine.JobError{Code: a.Ended.Error.Code, Err: errors.New(a.Ended.Error.Message)}
		}
	}
	return nil
}
