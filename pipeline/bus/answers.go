package bus

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// answers routes the answers of requests that have many of them. One
// subscription serves all requests of a connection: one of its own for each
// would cost the client half a megabyte.
type answers struct {
	mu      sync.Mutex
	inbox   string // "" until the first request
	waiting map[string]chan *nats.Msg
}

// expect returns a subject for the answers to one request, at most as many as
// most, where they arrive, and what ends the waiting.
func (a *answers) expect(nc *nats.Conn, most int) (reply string, got <-chan *nats.Msg, end func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inbox == "" {
		inbox := nc.NewInbox()
		if _, err := nc.Subscribe(inbox+".*", a.route); err != nil {
			return "", nil, nil, fmt.Errorf("listen for answers: %w", err)
		}
		a.inbox, a.waiting = inbox, map[string]chan *nats.Msg{}
	}
	reply = a.inbox + "." + nonce(12)
	ch := make(chan *nats.Msg, most)
	a.waiting[reply] = ch
	return reply, ch, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, reply)
	}, nil
}

// route hands an answer over. It never waits: a request that got more answers
// than it asked for is no longer believed by its reader, which misses the end.
func (a *answers) route(m *nats.Msg) {
	a.mu.Lock()
	ch := a.waiting[m.Subject]
	a.mu.Unlock()
	select {
	case ch <- m:
	default:
	}
}
