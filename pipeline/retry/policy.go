package retry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// Policy is how often and how long a job is worked on.
type Policy struct {
	// Tries is how many attempts may end by an error, Crashes how many without
	// an attempt_ended event because their process was killed.
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
		last := LastError(state)
		if last == nil {
			last = errors.New("no error was reported")
		}
		return fmt.Errorf("gave up after %d tries: %w", n, last)
	}
	if n := state.Crashes(); n >= p.Crashes {
		return &engine.JobError{
			Code: "crashed",
			Err: fmt.Errorf("gave up after %d attempts that ended without a word, most often because the process was killed; "+
				"look at its memory", n),
		}
	}
	return nil
}

// LastError is the error of the latest attempt that ended by one; nil if none
// did.
func LastError(state *events.PhaseState) error {
	if state == nil {
		return nil
	}
	for i := len(state.Attempts) - 1; i >= 0; i-- {
		if e := state.Attempts[i].Ended; e != nil && e.Error != nil {
			return &engine.JobError{Code: e.Error.Code, Err: errors.New(e.Error.Message)}
		}
	}
	return nil
}
