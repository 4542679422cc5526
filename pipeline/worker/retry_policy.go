package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// retryPolicy is how often and how long a job is worked on.
type retryPolicy struct {
	tries, crashes int
	backoff        time.Duration
	maxBackoff     time.Duration // 0: no limit
	timeout        time.Duration // of all attempts together; 0: none
}

// The policy of a job whose specification does not set one.
const (
	defaultTries   = 3
	defaultCrashes = 5
	defaultBackoff = 5 * time.Second
)

// newRetryPolicy reads the policy of a job's specification.
func newRetryPolicy(req events.PhaseRequested, maxBackoff time.Duration) retryPolicy {
	p := retryPolicy{
		tries:      defaultTries,
		crashes:    defaultCrashes,
		backoff:    defaultBackoff,
		maxBackoff: maxBackoff,
		timeout:    req.Specification.Timeout(req.Phase),
	}
	s := req.Specification.Pipeline
	if s.MaxTries > 0 {
		p.tries = s.MaxTries
	}
	if s.MaxCrashes > 0 {
		p.crashes = s.MaxCrashes
	}
	if d := s.FirstBackoff(); d > 0 {
		p.backoff = d
	}
	return p
}

// delay is how long a job waits before its next try, after a number of tries
// that ended by an error. After the first it is between backoff and one and a
// half times of it. It doubles with each try, up to maxBackoff.
func (p retryPolicy) delay(tries int) time.Duration {
	const doublings, enough = 6, time.Duration(1) << 61
	d := min(p.backoff, enough)
	d += d / 2
	for n := 1; n < tries && n <= doublings && d < enough; n++ {
		d *= 2
	}
	if p.maxBackoff > 0 {
		d = min(d, p.maxBackoff)
	}
	return d - time.Duration(rand.Int64N(int64(d)/3+1))
}

// usedUp returns why no further attempt may work on a phase, or nil.
func (p retryPolicy) usedUp(state *events.PhaseState) error {
	if n := state.Tries(); n >= p.tries {
		last := lastError(state)
		if last == nil {
			last = errors.New("no error was reported")
		}
		return fmt.Errorf("gave up after %d tries: %w", n, last)
	}
	if n := state.Crashes(); n >= p.crashes {
		return &engine.JobError{
			Code: "crashed",
			Err: fmt.Errorf("gave up after %d attempts that ended without a word, most often because the process was killed; "+
				"look at its memory", n),
		}
	}
	return nil
}

// lastError is the error of the latest attempt that ended by one; nil if none
// did.
func lastError(state *events.PhaseState) error {
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
