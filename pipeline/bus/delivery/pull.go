package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// pullSubscription takes the messages of a durable consumer through one
// subscription. It requests a batch only when next is called. (jetstream's
// Fetch creates a subscription per request; busy services make thousands of
// requests a second.) Any event that may leave a request open at the server (a
// reconnect, a leader change, missed heartbeats) ends the subscription, so that
// no message is delivered to an inbox nobody reads.
// Source of the requests and of their status messages: NATS ADR-13.
type pullSubscription struct {
	conn        *conn.Conn
	subject     string
	request     []byte
	batch       int // how many messages a request asks for
	pending     int // how many of them the server has not delivered yet
	sub         *nats.Subscription
	msgs        chan *nats.Msg
	reconnected <-chan struct{}
	idle        *time.Timer // fires when two heartbeats are missing
}

const (
	// pullExpiry is how long a request waits for messages. A half-open
	// connection can hold a message back for that time.
	pullExpiry = 25 * time.Second
	// pullHeartbeat is how often the server shows that it still knows a
	// request.
	pullHeartbeat = 5 * time.Second
)

var (
	errRequestLost = errors.New("the server has forgotten a request for messages")
	errNoHeartbeat = errors.New("the server shows no sign of a request for messages")
)

// newPullSubscription subscribes; close has to be called.
func newPullSubscription(c *conn.Conn, stream, consumer string, batch int) (*pullSubscription, error) {
	p := &pullSubscription{
		conn:        c,
		batch:       batch,
		reconnected: c.Reconnected(),
		subject:     "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer,
		request:     fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, batch, pullExpiry, pullHeartbeat),
		// It never holds more than the messages of one request, its end, and
		// the heartbeats until they are read.
		msgs: make(chan *nats.Msg, batch+16),
	}
	var err error
	if p.sub, err = c.SubscribeInbox(p.msgs); err != nil {
		return nil, fmt.Errorf("listen for messages: %w", err)
	}
	p.idle = time.NewTimer(2 * pullHeartbeat)
	return p, nil
}

// next waits for a message. After an error the subscription is of no use any
// more.
func (p *pullSubscription) next(ctx context.Context) (*nats.Msg, error) {
	if p.pending == 0 {
		if err := p.ask(); err != nil {
			return nil, err
		}
	}
	for {
		select {
		case msg := <-p.msgs:
			p.idle.Reset(2 * pullHeartbeat)
			if !isStatus(msg) {
				p.pending--
				return msg, nil
			}
			if err := p.handleStatus(msg); err != nil {
				return nil, err
			}
		case <-p.idle.C:
			return nil, errNoHeartbeat
		case <-p.reconnected:
			return nil, errRequestLost
		case <-p.conn.Closed():
			return nil, nats.ErrConnectionClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// ask requests a batch. The heartbeats of the server bound the wait for it. It
// asks nothing without a connection: the request would be sent at the reconnect,
// which ends the subscription, and a message could be delivered to an inbox
// nobody reads.
func (p *pullSubscription) ask() error {
	if !p.conn.Connected() {
		return errRequestLost
	}
	p.pending = p.batch
	p.idle.Reset(2 * pullHeartbeat)
	if err := p.conn.Send(conn.Pull, &nats.Msg{Subject: p.subject, Reply: p.sub.Subject, Data: p.request}); err != nil {
		return fmt.Errorf("ask for messages: %w", err)
	}
	return nil
}

// handleStatus handles a status message. It returns an error if the request
// ended other than by expiry (408).
func (p *pullSubscription) handleStatus(msg *nats.Msg) error {
	description := msg.Header.Get("Description")
	switch msg.Header.Get("Status") {
	case "100": // a heartbeat
		return nil
	case "408":
		return p.ask()
	case "409":
		if strings.EqualFold(description, "Leadership Change") {
			return errRequestLost
		}
	case "503":
		return nats.ErrNoResponders
	}
	return fmt.Errorf("the server ends a request for messages: %s", description)
}

// isStatus reports whether a message is a status message, not a stream message.
func isStatus(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") != ""
}

// close ends the subscription and returns the messages that were received and
// not returned by next.
func (p *pullSubscription) close() []*nats.Msg {
	p.idle.Stop()
	_ = p.sub.Unsubscribe() // fails only on a closed connection
	var left []*nats.Msg
	for {
		select {
		case msg := <-p.msgs:
			if !isStatus(msg) {
				left = append(left, msg)
			}
		default:
			return left
		}
	}
}
