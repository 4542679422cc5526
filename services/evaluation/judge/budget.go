package judge

import (
	"fmt"
	"sync"
	"time"
)

const (
	// maxSilence is how long all calls of a model may fail before the metrics that
	// need it are given up. A judge that is loaded or restarted within that time
	// costs no row.
	maxSilence = 10 * time.Minute
	// maxFailedRows is how many rows may fail before a metric is given up by which
	// more than half of the rows fail. Each of them was retried.
	maxFailedRows = 20
)

// budget is the time that calls may fail. It counts from the first
// failure behind the last success, so that it does not matter which rows fail and
// how many are judged at once.
type budget struct {
	mu      sync.Mutex
	failing time.Time // since when; zero after a success
	cause   error     // the failure that used the time up
}

func (b *budget) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = time.Time{}
}

// silenceError means that the time is used up.
type silenceError struct{ err error }

func (e silenceError) Error() string {
	return fmt.Sprintf("no call succeeded for %s: %v", maxSilence, e.err)
}

// fail counts a try that failed and began at a time. The budget is spent if the
// time will be over before the next try.
func (b *budget) fail(began time.Time, pause time.Duration, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing.IsZero() {
		b.failing = began
	}
	if b.cause == nil && time.Now().Add(pause).Sub(b.failing) > maxSilence {
		b.cause = why
	}
}

// spent is the failure that used the time up, or nil. No call is made any more
// then, because each could take as long as the timeout; all rows get the same
// reason.
func (b *budget) spent() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}
