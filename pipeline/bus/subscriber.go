package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// SubscriberConfig says how messages are taken.
type SubscriberConfig struct {
	// Slots is how many messages are worked on at once. Default 1.
	Slots int
	// Light says that handling a message takes no time and that one which
	// comes again does no harm. Then each slot has many handed over at once,
	// and acks are not waited for.
	Light bool
	// NakDelay is how long a message waits after an error that names no
	// delay. Default 0: it comes again at once.
	NakDelay time.Duration
	// Grace is how long a handler may go on after the subscription ended, to
	// bring its work to a good end. Default 0.
	Grace time.Duration
	// Bind finds the consumer that a topic stands for. Default: the topic is
	// "<stream>/<durable>" and the durable exists, or is waited for.
	Bind func(ctx context.Context, topic string) (stream, durable string, err error)
	// Logger gets what cannot be returned. Default: the bus's.
	Logger *slog.Logger
}

// Metadata keys of a received message.
const (
	MetaSubject   = "nats_subject"
	MetaStream    = "nats_stream"
	MetaSequence  = "nats_sequence"
	MetaDelivered = "nats_delivered"
	MetaStored    = "nats_stored"
)

// Subscriber is a Watermill subscriber over durable pull consumers.
type Subscriber struct {
	bus    *Bus
	cfg    SubscriberConfig
	ctx    context.Context // ends with Close; Watermill gives Close no context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewSubscriber returns a subscriber on b. Close ends its subscriptions.
func NewSubscriber(b *Bus, cfg SubscriberConfig) *Subscriber {
	if cfg.Slots < 1 {
		cfg.Slots = 1
	}
	if cfg.Bind == nil {
		cfg.Bind = splitTopic
	}
	if cfg.Logger == nil {
		cfg.Logger = b.log
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Subscriber{bus: b, cfg: cfg, ctx: ctx, cancel: cancel}
}

// Topic is the topic of a durable consumer.
func Topic(stream, durable string) string { return stream + "/" + durable }

func splitTopic(_ context.Context, topic string) (stream, durable string, err error) {
	for i := range len(topic) {
		if topic[i] == '/' {
			return topic[:i], topic[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("subscribe %q: want <stream>/<durable>", topic)
}

// Subscribe starts taking messages of a topic. The channel is closed when ctx
// ends or Close is called, after the last message has been settled.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if s.ctx.Err() != nil {
		return nil, fmt.Errorf("subscribe %q: the subscriber is closed", topic)
	}
	stream, durable, err := s.cfg.Bind(ctx, topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	out := make(chan *message.Message)
	var slots sync.WaitGroup
	for range s.cfg.Slots {
		slots.Go(func() { s.slot(ctx, stream, durable, out) })
	}
	s.wg.Go(func() {
		slots.Wait()
		stop()
		cancel()
		close(out)
	})
	return out, nil
}

// Close ends every subscription and waits for what is being worked on, at
// most the grace. It may be called twice.
func (s *Subscriber) Close() error {
	s.cancel()
	s.wg.Wait()
	return nil
}

// slot takes one message at a time until ctx ends.
func (s *Subscriber) slot(ctx context.Context, stream, durable string, out chan<- *message.Message) {
	consumer, cfg := s.bind(ctx, stream, durable)
	for ctx.Err() == nil {
		err := s.fetch(ctx, consumer, func(msg jetstream.Msg) { s.deliver(ctx, msg, cfg, out) })
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("fetching failed; trying again", "stream", stream, "consumer", durable, "error", err)
			wait(ctx, time.Second)
			consumer, cfg = s.bind(ctx, stream, durable) // the durable may have been made anew
		}
	}
}

// bind waits until the durable exists.
func (s *Subscriber) bind(ctx context.Context, stream, durable string) (jetstream.Consumer, jetstream.ConsumerConfig) {
	for try := 0; ctx.Err() == nil; try++ {
		c, err := s.bus.js.Consumer(ctx, stream, durable)
		if err == nil {
			return c, c.CachedInfo().Config
		}
		if try%20 == 2 && ctx.Err() == nil {
			s.cfg.Logger.Warn("waiting for a consumer; \"tunebus setup\" creates it", "stream", stream, "consumer", durable, "error", err)
		}
		wait(ctx, 500*time.Millisecond)
	}
	return nil, jetstream.ConsumerConfig{}
}

// lightBatch is how many light messages are handed over at once.
const lightBatch = 64

// fetch asks for one message, or for many light ones, for at most 25 s, since
// a half-open connection can hold a message back until the request's expiry. A
// server that was away has forgotten the request, so a return of the
// connection ends it, too.
func (s *Subscriber) fetch(ctx context.Context, c jetstream.Consumer, each func(jetstream.Msg)) error {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	back := s.bus.back.wait()
	most := 1
	if s.cfg.Light {
		most = lightBatch
	}
	batch, err := c.Fetch(most, jetstream.FetchContext(ctx))
	if err != nil {
		return quiet(err)
	}
	for {
		select {
		case msg, ok := <-batch.Messages():
			if !ok {
				return quiet(batch.Error())
			}
			each(msg)
			if most == 1 {
				return nil
			}
		case <-back:
			cancel()
			back = nil // what has arrived by now is still read
		}
	}
}

// quiet drops the errors that only say that there was no message.
func quiet(err error) error {
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, jetstream.ErrNoMessages) {
		return nil
	}
	return err
}

// deliver hands one message over and settles it.
func (s *Subscriber) deliver(ctx context.Context, in jetstream.Msg, cfg jetstream.ConsumerConfig, out chan<- *message.Message) {
	msgCtx, cancel := context.WithCancel(withTrace(ctx, in.Headers()))
	defer cancel()
	quiet := make(chan struct{})
	msg := received(in)
	msg.SetContext(context.WithValue(msgCtx, quietKey{}, sync.OnceFunc(func() { close(quiet) })))
	select {
	case out <- msg:
	case <-ctx.Done():
		s.nak(in, 0)
		return
	}
	var beat <-chan time.Time
	if !s.cfg.Light { // which is done long before the first
		heartbeat := time.NewTicker(cfg.AckWait / 3)
		defer heartbeat.Stop()
		beat = heartbeat.C
	}
	ended := ctx.Done()
	var grace <-chan time.Time
	for {
		select {
		case <-msg.Acked():
			failpoint.Here(failpoint.BeforeAck)
			s.ack(in)
			failpoint.Here(failpoint.AfterAck)
			return
		case <-msg.Nacked():
			s.settle(in, msg, cfg.MaxDeliver)
			return
		case <-beat:
			s.told(in, in.InProgress())
		case <-quiet:
			quiet, beat = nil, nil
		case <-ended:
			ended = nil
			t := time.NewTimer(s.cfg.Grace)
			defer t.Stop()
			grace = t.C
		case <-grace:
			s.nak(in, 0)
			return
		}
	}
}

// quietKey is the context key of what ends a message's heartbeats.
type quietKey struct{}

// settle tells the server what the handler answered. most is how often the
// server delivers the message; after the last time nobody would see it again.
func (s *Subscriber) settle(in jetstream.Msg, msg *message.Message, most int) {
	verdict := msg.Metadata.Get(metaVerdict)
	switch {
	case verdict == verdictLetGo:
	case verdict == verdictDead:
		s.giveUp(in, msg.Metadata.Get(metaReason))
	case last(in, most):
		s.giveUp(in, fmt.Sprintf("delivered %d times, the last time: %s", most, msg.Metadata.Get(metaReason)))
	case verdict == verdictLater:
		s.nak(in, delayOf(msg))
	default:
		s.nak(in, s.cfg.NakDelay)
	}
}

// nak gives a message back, always with a delay, however short: the server
// keeps only such a return over its own restart, which may come right behind
// the end of a service. For that reason it is confirmed, too. Else the message
// would wait for the ack wait.
func (s *Subscriber) nak(in jetstream.Msg, delay time.Duration) {
	failpoint.Here(failpoint.BeforeNak)
	delay = max(delay, 1)
	if s.cfg.Light {
		s.told(in, in.NakWithDelay(delay))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := s.bus.nc.RequestWithContext(ctx, in.Reply(), fmt.Appendf(nil, `-NAK {"delay": %d}`, delay))
	s.told(in, err)
}

// ack is confirmed by the server; an ack that got lost would repeat the work
// of a whole phase's look at the stream. A light one may get lost.
func (s *Subscriber) ack(in jetstream.Msg) {
	if s.cfg.Light {
		s.told(in, in.Ack())
		return
	}
	for try := range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := in.DoubleAck(ctx)
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return
		}
		if try == 2 {
			s.told(in, err)
		}
	}
}

// told reports what could not be told to the server; the ack wait then
// brings the message back.
func (s *Subscriber) told(in jetstream.Msg, err error) {
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.cfg.Logger.Warn("settling a message failed", "subject", in.Subject(), "error", err)
	}
}

// received turns a JetStream message into Watermill's.
func received(in jetstream.Msg) *message.Message {
	h := in.Headers()
	msg := message.NewMessage(h.Get(headerMsgID), in.Data())
	for k := range h {
		switch k {
		case metaVerdict, metaDelay, metaReason: // a handler's to say, not a publisher's
		default:
			msg.Metadata.Set(k, h.Get(k))
		}
	}
	msg.Metadata.Set(MetaSubject, meantSubject(in.Subject(), h))
	if meta, err := in.Metadata(); err == nil {
		msg.Metadata.Set(MetaStream, meta.Stream)
		msg.Metadata.Set(MetaSequence, strconv.FormatUint(meta.Sequence.Stream, 10))
		msg.Metadata.Set(MetaDelivered, strconv.FormatUint(meta.NumDelivered, 10))
		msg.Metadata.Set(MetaStored, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	}
	return msg
}

// wait waits for d or for ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
