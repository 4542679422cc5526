package bus

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// answers routes the answers of requests that have many of them. One
// subscription serves all requests of a connection: one of its own for each
// would cost the client half a megabyte.
type answers struct {
	mu      sync.Mutex
	inbox   string // "" until the first request
	waiting map[string]*answer
}

// answer is what comes back for one request.
type answer struct {
	reply  string     // where the answers have to be sent
	denied chan error // the request was never heard
	end    func()     // ends the waiting

	subject string // where the request is sent
	most    int    // how many answers may come

	more chan struct{} // has a value when got has one
	mu   sync.Mutex
	got  []*nats.Msg // what came and was not taken yet
	came int
}

// add takes an answer in.
func (w *answer) add(m *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.came == w.most {
		return
	}
	w.came++
	w.got = append(w.got, m)
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// take takes the oldest answer out; nil if there is none.
func (w *answer) take() *nats.Msg {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) == 0 {
		return nil
	}
	m := w.got[0]
	w.got = w.got[1:]
	return m
}

// expect prepares for the answers, at most as many as most, to one request
// that is sent to subject.
func (a *answers) expect(nc *nats.Conn, subject string, most int) (*answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inbox == "" {
		inbox := nc.NewInbox()
		if _, err := nc.Subscribe(inbox+".*", a.route); err != nil {
			return nil, fmt.Errorf("listen for answers: %w", err)
		}
		a.inbox, a.waiting = inbox, map[string]*answer{}
	}
	reply := a.inbox + "." + nonce(12)
	w := &answer{reply: reply, subject: subject, most: most, more: make(chan struct{}, 1), denied: make(chan error, 1)}
	w.end = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, reply)
	}
	a.waiting[reply] = w
	return w, nil
}

// route hands an answer over. It never waits: a request that got more answers
// than it asked for is no longer believed by its reader, which misses the end.
func (a *answers) route(m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.waiting[m.Subject]; w != nil {
		w.add(m)
	}
}

// refuse ends the requests that the server did not let through. It says so
// beside the requests, with the subject in quotes, and answers none of them.
func (a *answers) refuse(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.waiting {
		if strings.Contains(err.Error(), `Publish to "`+w.subject+`"`) {
			select {
			case w.denied <- err:
			default:
			}
		}
	}
}
