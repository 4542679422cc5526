package conn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// RequestMany sends a request that has up to limit replies, and calls each for
// every reply until it reports the last one. A server that refuses the request
// by permissions is an error at once.
func (c *Conn) RequestMany(ctx context.Context, op Op, subject string, body []byte, limit int, each func(*nats.Msg) (last bool, err error)) error {
	r := begin(c, op)
	bounded, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	reply, err := c.replies.register(c.nc, subject, limit)
	if err != nil {
		return err
	}
	defer c.replies.unregister(reply)
	if err := c.nc.PublishRequest(subject, reply.inbox, body); err != nil {
		return err
	}
	for {
		msg, err := reply.receive(bounded, c.Closed())
		if err != nil {
			return r.end(ctx, err)
		}
		if last, err := each(msg); last || err != nil {
			c.limits.answered(op, time.Since(r.begin))
			return asNoLeader(op, err)
		}
	}
}

// replyMux routes the replies of requests that have many of them. All requests
// of a connection share one subscription.
type replyMux struct {
	mu      sync.Mutex
	prefix  string // "" until the first request
	pending map[string]*pendingReply
}

// pendingReply collects the replies to one request.
type pendingReply struct {
	inbox   string        // where the server sends the replies
	subject string        // where the request goes
	denied  chan error    // gets the error of a request that the server refused
	ready   chan struct{} // has a value while msgs is not empty

	mu       sync.Mutex
	limit    int // of replies
	received int
	msgs     []*nats.Msg // received and not yet taken
}

// add stores a reply. It drops what comes after the limit: the reader then
// misses the final status and fails.
func (r *pendingReply) add(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.received == r.limit {
		return
	}
	r.received++
	r.msgs = append(r.msgs, m)
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// take removes the oldest reply; nil if there is none.
func (r *pendingReply) take() *nats.Msg {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.msgs) == 0 {
		return nil
	}
	m := r.msgs[0]
	r.msgs = r.msgs[1:]
	return m
}

// receive waits for the next reply, until ctx ends or the connection is closed.
func (r *pendingReply) receive(ctx context.Context, closed <-chan struct{}) (*nats.Msg, error) {
	for {
		if msg := r.take(); msg != nil {
			return msg, nil
		}
		select {
		case <-r.ready:
		case err := <-r.denied:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-closed:
			return nil, nats.ErrConnectionClosed
		}
	}
}

// register prepares for at most limit replies to one request on subject.
func (x *replyMux) register(nc *nats.Conn, subject string, limit int) (*pendingReply, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.prefix == "" {
		prefix := nc.NewInbox()
		if _, err := nc.Subscribe(prefix+".*", x.route); err != nil {
			return nil, fmt.Errorf("listen for replies: %w", err)
		}
		x.prefix, x.pending = prefix, map[string]*pendingReply{}
	}
	r := &pendingReply{
		inbox:   x.prefix + "." + randomHex(12),
		subject: subject,
		limit:   limit,
		ready:   make(chan struct{}, 1),
		denied:  make(chan error, 1),
	}
	x.pending[r.inbox] = r
	return r, nil
}

func (x *replyMux) unregister(r *pendingReply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.pending, r.inbox)
}

// route hands a reply to its request. It never blocks the connection.
func (x *replyMux) route(m *nats.Msg) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.pending[m.Subject]; r != nil {
		r.add(m)
	}
}

// deny ends the requests that the server refused by permissions. The server
// sends no reply to them; it reports the subject, in quotes, as an error of
// the connection.
func (x *replyMux) deny(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.pending {
		if strings.Contains(err.Error(), `Publish to "`+r.subject+`"`) {
			select {
			case r.denied <- err:
			default:
			}
		}
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // documented to never fail
	return hex.EncodeToString(b)
}
