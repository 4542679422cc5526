package modelapi

import (
	"fmt"
	"sync"
	"time"
)

// MaxSilence is how long all calls may fail before a [Budget] is spent. A server that
// is loaded or restarted within that time costs nothing but the time.
const MaxSilence = 10 * time.Minute

// Budget is the time that calls may fail. It counts from the first failure behind the
// last success, so that it does not matter which calls fail and how many are made at
// once. It is safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	failing time.Time // since when; zero after a success
	cause   error     // a [SilenceError] once the time is used up
}

// Succeed says that a call succeeded.
func (b *Budget) Succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = time.Time{}
}

// SilenceError means that the time is used up, or would be before the next call.
type SilenceError struct {
	Err error // the last failure
	// Lasted is how long no call succeeded, and Pause that before the next one.
	Lasted, Pause time.Duration
}

// ownPause is the longest pause that the client makes by itself.
const ownPause = time.Minute

func (e SilenceError) Error() string {
	if e.Lasted >= MaxSilence-ownPause { // the exact time would be another one for each call
		return fmt.Sprintf("no call succeeded for %s: %v", MaxSilence, e.Err)
	}
	return fmt.Sprintf("no call succeeded for %s, and the server asks for a pause of %s, which ends behind the %s that are waited: %v",
		e.Lasted.Round(time.Second), e.Pause.Round(time.Second), MaxSilence, e.Err)
}

// Unwrap returns the last failure.
func (e SilenceError) Unwrap() error { return e.Err }

// Fail counts a try that failed and began at a time. The budget is spent if the
// time will be over before the next try.
func (b *Budget) Fail(began time.Time, pause time.Duration, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing.IsZero() {
		b.failing = began
	}
	if lasted := time.Since(b.failing); b.cause == nil && lasted+pause > MaxSilence {
		b.cause = SilenceError{Err: why, Lasted: lasted, Pause: pause}
	}
}

// Spent is a [SilenceError] if the time is used up, or nil. No call is made any more
// then, because each could take as long as the timeout; all get the same reason.
func (b *Budget) Spent() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}
