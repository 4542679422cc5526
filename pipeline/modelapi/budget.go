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
	cause   error     // the failure that used the time up
}

// Succeed says that a call succeeded.
func (b *Budget) Succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = time.Time{}
}

// SilenceError means that the time is used up.
type SilenceError struct{ Err error }

func (e SilenceError) Error() string {
	return fmt.Sprintf("no call succeeded for %s: %v", MaxSilence, e.Err)
}

// Fail counts a try that failed and began at a time. The budget is spent if the
// time will be over before the next try.
func (b *Budget) Fail(began time.Time, pause time.Duration, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing.IsZero() {
		b.failing = began
	}
	if b.cause == nil && time.Now().Add(pause).Sub(b.failing) > MaxSilence {
		b.cause = why
	}
}

// Spent is the failure that used the time up, or nil. No call is made any more
// then, because each could take as long as the timeout; all get the same reason.
func (b *Budget) Spent() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}
