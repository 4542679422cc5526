package conn

import (
	"sync"
	"time"
)

// maxLimit is the longest limit of a request to a slow server. A kind whose own limit is
// longer keeps that.
const maxLimit = 30 * time.Second

// limits are the limits of the requests of a connection, by their kinds. A request that
// gets no answer may have met a server that is slow, such as one with a busy disk. If
// all tries had the same limit, none would ever succeed there. So the limit of the next
// request of the kind is twice as long, up to [maxLimit]. It stays so as long as the
// answers take more than half of the usual limit. A new connection begins anew: a lost
// answer of a server that is gone says nothing about the next one.
type limits struct {
	mu      sync.Mutex
	doubled map[Op]int // how often the limit of a kind was doubled
}

// of is the limit of the next request of a kind.
func (l *limits) of(op Op) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.after(op, l.doubled[op])
}

func (l *limits) after(op Op, doubled int) time.Duration {
	limit := op.Limit()
	if !op.isPatient() {
		return limit
	}
	return max(limit, min(limit<<doubled, maxLimit))
}

// unanswered notes that a request got no answer within its limit, which was the one of
// the kind at that time. Requests at the same time count once.
func (l *limits) unanswered(op Op, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.after(op, l.doubled[op]); limit < now || now >= maxLimit {
		return
	}
	if l.doubled == nil {
		l.doubled = map[Op]int{}
	}
	l.doubled[op]++
}

// answered notes that a request was answered.
func (l *limits) answered(op Op, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.doubled[op] > 0 && 2*took <= l.after(op, l.doubled[op]-1) {
		l.doubled[op]--
	}
}

// reset begins anew.
func (l *limits) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.doubled)
}
