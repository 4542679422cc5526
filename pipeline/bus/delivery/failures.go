package delivery

import (
	"strconv"
	"sync"
	"time"
)

// failures remembers since when each message that is delivered again and again
// has failed in this process.
type failures struct {
	now func() time.Time

	mu    sync.Mutex
	since map[string]time.Time
}

func newFailures() *failures { return &failures{now: time.Now, since: map[string]time.Time{}} }

// failing notes a failure of a message and returns for how long the message has
// failed.
func (f *failures) failing(route string, sequence uint64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	const limit = 4096 // messages that went on to another process stay in the map
	now, key := f.now(), failureKey(route, sequence)
	first, known := f.since[key]
	if !known {
		if len(f.since) >= limit {
			clear(f.since)
		}
		f.since[key] = now
		return 0
	}
	return now.Sub(first)
}

// done forgets a message that was handled.
func (f *failures) done(route string, sequence uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.since, failureKey(route, sequence))
}

func failureKey(route string, sequence uint64) string {
	return route + "/" + strconv.FormatUint(sequence, 10)
}
