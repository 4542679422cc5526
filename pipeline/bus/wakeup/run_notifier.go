package wakeup

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// RunNotifier wakes the waiters of many runs behind one set of subscriptions,
// for a worker that works on one run after the other.
type RunNotifier struct {
	ready chan struct{}

	mu   sync.Mutex
	subs map[string]map[*RunSubscription]bool // by run
}

// RunSubscription waits for news about one run.
type RunSubscription struct {
	// C gets a value soon after a publish about the run, and after a
	// reconnect. It is never closed.
	C <-chan struct{}

	out      chan struct{}
	ignored  []string
	notifier *RunNotifier
	run      string
}

// NewRunNotifier listens to subjects of the form
// <stage>.<event>.<run>[.<detail>] of every run, until the connection is
// closed.
func NewRunNotifier(c *conn.Conn, subjects ...string) (*RunNotifier, error) {
	n := &RunNotifier{ready: make(chan struct{}), subs: map[string]map[*RunSubscription]bool{}}
	reconnected := c.Reconnected()
	subs, err := subscribe(c, subjects, func(m *nats.Msg) { n.published(m.Subject) })
	if err != nil {
		return nil, err
	}
	c.Go(context.Background(), func(ctx context.Context) {
		// A publish from before the server knew of the subscriptions woke
		// nothing, so all waiters are woken once as soon as it does.
		if closed := flush(ctx, c); closed {
			unsubscribe(subs)
			return
		}
		n.notifyAll()
		close(n.ready)
		for {
			select {
			case <-ctx.Done():
				return
			case <-reconnected:
				reconnected = c.Reconnected()
				n.notifyAll()
			}
		}
	})
	return n, nil
}

// Ready is closed as soon as the server knows of the subscriptions. Nobody has
// to wait for it: a waiter from before is woken then.
func (n *RunNotifier) Ready() <-chan struct{} { return n.ready }

// Subscribe waits for news about a run from now on. Close has to be called in
// the end.
func (n *RunNotifier) Subscribe(run string) *RunSubscription {
	out := make(chan struct{}, 1)
	s := &RunSubscription{C: out, out: out, notifier: n, run: run}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.subs[run] == nil {
		n.subs[run] = map[*RunSubscription]bool{}
	}
	n.subs[run][s] = true
	return s
}

// Ignore excludes a subject, such as the one that the waiter itself publishes
// on.
func (s *RunSubscription) Ignore(subject string) {
	s.notifier.mu.Lock()
	defer s.notifier.mu.Unlock()
	s.ignored = append(s.ignored, subject)
}

// Close ends the subscription.
func (s *RunSubscription) Close() {
	s.notifier.mu.Lock()
	defer s.notifier.mu.Unlock()
	delete(s.notifier.subs[s.run], s)
	if len(s.notifier.subs[s.run]) == 0 {
		delete(s.notifier.subs, s.run)
	}
}

// published wakes the waiters of the run that a subject names: at once, and
// when the stream has surely stored the message.
func (n *RunNotifier) published(subject string) {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 3 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs[tokens[2]] {
		if slices.Contains(s.ignored, subject) {
			continue
		}
		notify(s.out)
		time.AfterFunc(settled, func() { notify(s.out) })
	}
}

func (n *RunNotifier) notifyAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, subs := range n.subs {
		for s := range subs {
			notify(s.out)
		}
	}
}
