package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// pull takes the messages of a durable consumer through one subscription, and
// asks for more only when it is asked itself. jetstream's Fetch subscribes
// anew for each request, of which a server with many runs has thousands a
// second. What may have left a request open ends the pull, so that no message
// is ever handed over to somebody who does not wait for it.
// Source of the requests and of their answers: NATS ADR-13.
type pull struct {
	bus     *Bus
	subject string
	request []byte
	most    int // a request asks for
	owed    int // by the server
	sub     *nats.Subscription
	msgs    chan *nats.Msg
	back    <-chan struct{} // closed when the connection has come back
	silence *time.Timer
}

const (
	// pullExpiry is how long a request waits for messages. A half-open
	// connection can hold a message back for that time.
	pullExpiry = 25 * time.Second
	// pullBeat is how often the server shows that it still knows a request; it
	// is given up after two beats without a sign.
	pullBeat = 5 * time.Second
)

var (
	errForgotten = errors.New("the server has forgotten a request for messages")
	errSilent    = errors.New("the server shows no sign of a request for messages")
)

// pull opens a pull; close has to be called.
func (b *Bus) pull(stream, durable string, most int) (*pull, error) {
	p := &pull{
		bus: b, most: most, back: b.back.wait(),
		subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + durable,
		request: fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, most, pullExpiry, pullBeat),
		// It never holds more than the messages of one request, its end, and
		// the beats until they are read.
		msgs: make(chan *nats.Msg, most+16),
	}
	var err error
	if p.sub, err = b.nc.ChanSubscribe(b.nc.NewInbox(), p.msgs); err != nil {
		return nil, fmt.Errorf("listen for messages: %w", err)
	}
	p.silence = time.NewTimer(2 * pullBeat)
	return p, nil
}

// next waits for a message. After an error the pull is of no use any more.
func (p *pull) next(ctx context.Context) (*nats.Msg, error) {
	if p.owed == 0 {
		if err := p.ask(); err != nil {
			return nil, err
		}
	}
	for {
		select {
		case msg := <-p.msgs:
			p.silence.Reset(2 * pullBeat)
			if !status(msg) {
				p.owed--
				return msg, nil
			}
			if err := p.told(msg); err != nil {
				return nil, err
			}
		case <-p.silence.C:
			return nil, errSilent
		case <-p.back:
			return nil, errForgotten
		case <-p.bus.life.Done():
			return nil, nats.ErrConnectionClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p *pull) ask() error {
	p.owed = p.most
	p.silence.Reset(2 * pullBeat)
	if err := p.bus.nc.PublishRequest(p.subject, p.sub.Subject, p.request); err != nil {
		return fmt.Errorf("ask for messages: %w", err)
	}
	return nil
}

// told does what the server says of a request. An error says that it is over
// in another way than by its expiry.
func (p *pull) told(msg *nats.Msg) error {
	text := msg.Header.Get("Description")
	switch msg.Header.Get("Status") {
	case "100": // a beat
		return nil
	case "408":
		return p.ask()
	case "409":
		if strings.EqualFold(text, "Leadership Change") {
			return errForgotten
		}
	case "503":
		return nats.ErrNoResponders
	}
	return fmt.Errorf("the server ends a request for messages: %s", text)
}

// status reports whether a message is the server's own and none of the stream.
func status(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") != ""
}

// close ends the pull and returns what has arrived and was not taken.
func (p *pull) close() []*nats.Msg {
	p.silence.Stop()
	_ = p.sub.Unsubscribe() // fails only on a closed connection
	var left []*nats.Msg
	for {
		select {
		case msg := <-p.msgs:
			if !status(msg) {
				left = append(left, msg)
			}
		default:
			return left
		}
	}
}
