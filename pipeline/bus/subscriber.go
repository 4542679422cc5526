package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	for ctx.Err() == nil {
		cfg := s.bind(ctx, stream, durable)
		if ctx.Err() != nil {
			return
		}
		err := s.take(ctx, stream, durable, func(msg *nats.Msg) { s.deliver(ctx, msg, cfg, out) })
		switch {
		case ctx.Err() != nil, errors.Is(err, errForgotten):
		default:
			s.cfg.Logger.Warn("taking messages failed; trying again", "stream", stream, "consumer", durable, "error", err)
			wait(ctx, time.Second) // the durable may have to be made anew
		}
	}
}

// bind waits until the durable exists.
func (s *Subscriber) bind(ctx context.Context, stream, durable string) jetstream.ConsumerConfig {
	for try := 0; ctx.Err() == nil; try++ {
		c, err := s.bus.js.Consumer(ctx, stream, durable)
		if err == nil {
			return c.CachedInfo().Config
		}
		if try%20 == 2 && ctx.Err() == nil {
			s.cfg.Logger.Warn("waiting for a consumer; \"tunebus setup\" creates it", "stream", stream, "consumer", durable, "error", err)
		}
		wait(ctx, 500*time.Millisecond)
	}
	return jetstream.ConsumerConfig{}
}

// lightBatch is how many light messages are handed over at once.
const lightBatch = 64

// take calls each for one message after the other until ctx ends or the pull
// does. What arrives beside that is given back.
func (s *Subscriber) take(ctx context.Context, stream, durable string, each func(*nats.Msg)) error {
	most := 1
	if s.cfg.Light {
		most = lightBatch
	}
	p, err := s.bus.pull(stream, durable, most)
	if err != nil {
		return err
	}
	defer func() {
		for _, msg := range p.close() {
			s.nak(msg, 0)
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

// deliver hands one message over and settles it.
func (s *Subscriber) deliver(ctx context.Context, in *nats.Msg, cfg jetstream.ConsumerConfig, out chan<- *message.Message) {
	msgCtx, cancel := context.WithCancel(withTrace(ctx, in.Header))
	defer cancel()
	at := newArrival(in)
	msg := received(in)
	msg.SetContext(context.WithValue(msgCtx, arrivalKey{}, at))
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
	quiet := at.hush
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

// settle tells the server what the handler answered. most is how often the
// server delivers the message; after the last time nobody would see it again.
func (s *Subscriber) settle(in *nats.Msg, msg *message.Message, most int) {
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
func (s *Subscriber) nak(in *nats.Msg, delay time.Duration) {
	failpoint.Here(failpoint.BeforeNak)
	delay = max(delay, 1)
	if s.cfg.Light {
		s.told(in, in.NakWithDelay(delay))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := s.bus.nc.RequestWithContext(ctx, in.Reply, fmt.Appendf(nil, `-NAK {"delay": %d}`, delay))
	s.told(in, err)
}

// ack is confirmed by the server; an ack that got lost would repeat the work
// of a whole phase's look at the stream. A light one may get lost.
func (s *Subscriber) ack(in *nats.Msg) {
	if s.cfg.Light {
		s.told(in, in.Ack())
		return
	}
	for try := range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := in.AckSync(nats.Context(ctx))
		cancel()
		if err == nil || errors.Is(err, nats.ErrMsgAlreadyAckd) {
			return
		}
		if try == 2 {
			s.told(in, err)
		}
	}
}

// told reports what could not be told to the server; the ack wait then
// brings the message back.
func (s *Subscriber) told(in *nats.Msg, err error) {
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.cfg.Logger.Warn("settling a message failed", "subject", in.Subject, "error", err)
	}
}

// wait waits for d or for ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
