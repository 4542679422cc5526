package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// SubscriberConfig configures a [Subscriber].
type SubscriberConfig struct {
	// Slots is how many messages are handled at the same time. Default 1.
	Slots int
	// Idempotent is [Route.Idempotent].
	Idempotent bool
	// NakDelay is the delay of the redelivery after an error that names none.
	// Default 0: at once. A router has a default of its own, see [Route].
	NakDelay time.Duration
	// Grace is how long a handler may go on after the subscription has ended.
	// Default 0.
	Grace time.Duration
	// Logger gets the errors that cannot be returned. Default: the
	// connection's.
	Logger *slog.Logger
}

// Subscriber is a Watermill subscriber over durable pull consumers. A topic is
// "<stream>/<consumer>"; it waits for a consumer that does not exist yet.
type Subscriber struct {
	conn   *conn.Conn
	cfg    SubscriberConfig
	settle *settler
	ctx    context.Context // ends with Close; Watermill gives Close no context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewSubscriber returns a subscriber on a connection. Close ends its
// subscriptions.
func NewSubscriber(c *conn.Conn, dead DeadLetters, cfg SubscriberConfig) *Subscriber {
	if cfg.Slots < 1 {
		cfg.Slots = 1
	}
	if cfg.Logger == nil {
		cfg.Logger = c.Logger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Subscriber{
		conn:   c,
		cfg:    cfg,
		settle: &settler{conn: c, dead: dead, idempotent: cfg.Idempotent, nakDelay: cfg.NakDelay, log: cfg.Logger},
		ctx:    ctx,
		cancel: cancel,
	}
}

// Subscribe starts taking messages of a topic. It closes the channel when ctx
// ends or Close is called, after the last message has been settled.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if s.ctx.Err() != nil {
		return nil, fmt.Errorf("subscribe %q: the subscriber is closed", topic)
	}
	stream, consumer, ok := strings.Cut(topic, "/")
	if !ok {
		return nil, fmt.Errorf("subscribe %q: want <stream>/<consumer>", topic)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	out := make(chan *message.Message)
	var slots sync.WaitGroup
	for range s.cfg.Slots {
		slots.Go(func() { s.slot(ctx, stream, consumer, out) })
	}
	s.wg.Go(func() {
		slots.Wait()
		stop()
		cancel()
		close(out)
	})
	return out, nil
}

// Close ends every subscription and waits for the messages in work, at most the
// grace. It may be called twice.
func (s *Subscriber) Close() error {
	s.cancel()
	s.wg.Wait()
	return nil
}

// slot takes messages until ctx ends.
func (s *Subscriber) slot(ctx context.Context, stream, consumer string, out chan<- *message.Message) {
	for ctx.Err() == nil {
		cfg := s.awaitConsumer(ctx, stream, consumer)
		if ctx.Err() != nil {
			return
		}
		err := s.take(ctx, stream, consumer, func(msg *nats.Msg) { s.deliver(ctx, msg, cfg, out) })
		if ctx.Err() != nil || errors.Is(err, errRequestLost) {
			continue
		}
		s.cfg.Logger.Warn("taking messages failed; trying again", "stream", stream, "consumer", consumer, "error", err)
		sleep(ctx, time.Second) // the consumer may have to be created again
	}
}

// awaitConsumer waits until the consumer exists.
func (s *Subscriber) awaitConsumer(ctx context.Context, stream, consumer string) (cfg jetstream.ConsumerConfig) {
	for try := 0; ctx.Err() == nil; try++ {
		err := s.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
			c, err := js.Consumer(ctx, stream, consumer)
			if err == nil {
				cfg = c.CachedInfo().Config
			}
			return err
		})
		if err == nil {
			return cfg
		}
		if try%20 == 2 && ctx.Err() == nil {
			s.cfg.Logger.Warn(awaited(err), "stream", stream, "consumer", consumer, "error", err)
		}
		sleep(ctx, 500*time.Millisecond)
	}
	return cfg
}

// awaited says for whoever reads the log why a consumer does not come.
func awaited(err error) string {
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return "waiting for a consumer; \"tunebus setup\" creates it"
	case conn.IsDenied(err):
		return "waiting for a consumer, of which the user of this connection may not ask; the manual has the permissions of each service"
	}
	return "waiting for NATS to answer about a consumer"
}

// idempotentBatch is how many messages of an idempotent route are requested at
// once.
const idempotentBatch = 64

// take calls each for one message after the other until ctx or the pull
// subscription ends. It naks messages that were received and not handled.
func (s *Subscriber) take(ctx context.Context, stream, consumer string, each func(*nats.Msg)) error {
	batch := 1
	if s.cfg.Idempotent {
		batch = idempotentBatch
	}
	p, err := newPullSubscription(s.conn, stream, consumer, batch)
	if err != nil {
		return err
	}
	defer func() {
		for _, msg := range p.close() {
			s.settle.nak(msg, 0)
		}
	}()
	for ctx.Err() == nil {
		msg, err := p.next(ctx)
		if err != nil {
			return err
		}
		each(msg)
	}
	return nil
}

// deliver hands a message to the router, sends heartbeats while the handler
// works, and settles the message.
func (s *Subscriber) deliver(ctx context.Context, in *nats.Msg, cfg jetstream.ConsumerConfig, out chan<- *message.Message) {
	msgCtx, cancel := context.WithCancel(codec.WithTrace(ctx, in.Header))
	defer cancel()
	meta := newMeta(in)
	msg := newMessage(in)
	msg.SetContext(context.WithValue(msgCtx, metaKey{}, meta))
	select {
	case out <- msg:
	case <-ctx.Done():
		s.settle.nak(in, 0)
		return
	}
	var heartbeat <-chan time.Time
	if !s.cfg.Idempotent { // idempotent handlers finish before the first heartbeat is due
		ticker := time.NewTicker(cfg.AckWait / 3)
		defer ticker.Stop()
		heartbeat = ticker.C
	}
	stopped := meta.stopped
	ended := ctx.Done()
	var graceOver <-chan time.Time
	for {
		select {
		case <-msg.Acked():
			s.settle.done(in)
			return
		case <-msg.Nacked():
			s.settle.failed(in, meta.err, cfg.MaxDeliver)
			return
		case <-heartbeat:
			s.settle.inProgress(in)
		case <-stopped:
			stopped, heartbeat = nil, nil
		case <-ended:
			ended = nil
			t := time.NewTimer(s.cfg.Grace)
			defer t.Stop()
			graceOver = t.C
		case <-graceOver:
			if stopped != nil { // else another worker may own the message
				s.settle.nak(in, 0)
			}
			return
		}
	}
}

// deliveryMeta is what Watermill's message does not hold of a delivery. It
// travels in the message's context, to the handler and back.
type deliveryMeta struct {
	// subject is the one that the message is decoded as.
	subject, stream string
	sequence        uint64
	delivered       int // from 1
	stored          time.Time
	header          nats.Header

	// stopped is closed by stopHeartbeat.
	stopped       chan struct{}
	stopHeartbeat func()

	// err is the handler's error. The router writes it before it nacks the
	// message, the subscriber reads it after that.
	err error
}

type metaKey struct{}

func newMeta(in *nats.Msg) *deliveryMeta {
	m := &deliveryMeta{subject: codec.OriginalSubject(in.Subject, in.Header), header: in.Header, stopped: make(chan struct{})}
	m.stopHeartbeat = sync.OnceFunc(func() { close(m.stopped) })
	if meta, err := in.Metadata(); err == nil {
		m.stream, m.sequence = meta.Stream, meta.Sequence.Stream
		m.delivered, m.stored = int(meta.NumDelivered), meta.Timestamp.UTC()
	}
	return m
}

// newMessage turns a NATS message into Watermill's.
func newMessage(in *nats.Msg) *message.Message {
	msg := message.NewMessage(in.Header.Get(nats.MsgIdHdr), in.Data)
	for k := range in.Header {
		msg.Metadata.Set(k, in.Header.Get(k))
	}
	return msg
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
