package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/tunebus/tunebus/events"
)

// Delivery is a message in a handler's hands.
type Delivery struct {
	Message
	// Data is the event's own JSON, for whoever reads it another way.
	Data []byte
	// Bare says that the message is no CloudEvent but a request's data alone,
	// as people write it.
	Bare bool
	// Delivered counts the deliveries of the message, from 1.
	Delivered int

	quiet func()
}

// Quiet ends the heartbeats of a message that its handler has lost, since each
// would act on the delivery of the new owner. How the message is settled is
// still the handler's to say.
func (d Delivery) Quiet() {
	if d.quiet != nil {
		d.quiet()
	}
}

// Handler works on one message. What it returns is settled as the package
// comment says.
type Handler func(ctx context.Context, d Delivery) error

// Route is one source of messages and what is done with them.
type Route struct {
	// Name is the route's name in logs.
	Name string
	// Stream and Durable name the consumer.
	Stream, Durable string
	// Slots is how many messages are worked on at once. Default 1.
	Slots int
	// Light says that handling a message takes no time and that one which
	// comes again does no harm, as with a doorbell: many are handed over at
	// once, and acks are not waited for. It is not for jobs.
	Light bool
	// Doorbell says that the handler looks at the subject, or at little of the
	// data, and reads the stream for the rest. A message whose envelope is a
	// current event's is then not decoded: the delivery has no Event.
	Doorbell bool
	// Grace is how long a handler may go on after the receiver was stopped.
	// Default 10 s.
	Grace time.Duration
	// NakDelay is the delay after an error that names none. Default 1 s.
	NakDelay time.Duration
	// UnknownFor is how long an event of an unknown version is given back
	// before it becomes a dead letter, so that services may be upgraded in
	// any order. Default: the receiver's.
	UnknownFor time.Duration
	Handle     Handler
	// Undecodable, when set, is asked about a message that cannot be decoded
	// before it goes to the dead letters; nil means it was dealt with.
	Undecodable func(ctx context.Context, d Delivery, err error) error

	raw bool // the messages are no events; Handle reads Data
}

// Receiver runs routes.
type Receiver struct {
	// UnknownFor is that of routes that name none. Default 7 days. It has to
	// be set before Add.
	UnknownFor time.Duration

	bus    *Bus
	log    *slog.Logger
	router *message.Router
	slots  int    // of all routes
	hands  *hands // while it runs
}

// NewReceiver returns a receiver without routes.
func NewReceiver(b *Bus, log *slog.Logger) (*Receiver, error) {
	var details watermill.LoggerAdapter = watermill.NopLogger{}
	if log.Enabled(context.Background(), slog.LevelDebug) { // it works on its lines before it asks
		details = watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
			slog.LevelInfo: slog.LevelDebug,
			// The router reports every error that a handler returns; the
			// receiver has logged it by then, with the run it belongs to.
			slog.LevelError: slog.LevelDebug,
		})
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: time.Minute}, details)
	if err != nil {
		return nil, fmt.Errorf("new receiver: %w", err)
	}
	r := &Receiver{UnknownFor: 7 * 24 * time.Hour, bus: b, log: log, router: router}
	router.AddMiddleware(r.lend, Verdicts, (&panics{log: log}).count, middleware.Recoverer)
	return r, nil
}

// Add adds a route; it has to be called before Run.
func (r *Receiver) Add(route Route) {
	if route.Grace == 0 {
		route.Grace = 10 * time.Second
	}
	if route.NakDelay == 0 {
		route.NakDelay = time.Second
	}
	if route.UnknownFor == 0 {
		route.UnknownFor = r.UnknownFor
	}
	sub := NewSubscriber(r.bus, SubscriberConfig{Slots: route.Slots, Light: route.Light, Grace: route.Grace, NakDelay: route.NakDelay, Logger: r.log})
	r.slots += sub.cfg.Slots
	r.router.AddConsumerHandler(route.Name, Topic(route.Stream, route.Durable), sub, func(msg *message.Message) error {
		return r.handle(route, msg)
	})
}

// Run works until ctx ends and what was being worked on is settled. A handler
// sees the end of ctx in its own context.
func (r *Receiver) Run(ctx context.Context) error {
	r.hands = newHands(r.slots)
	defer r.hands.end()
	if err := r.router.Run(ctx); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

// lend is the middleware that lets a hand handle a message.
func (r *Receiver) lend(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) { return r.hands.lend(msg, next) }
}

// Running is closed when every route takes messages.
func (r *Receiver) Running() <-chan struct{} { return r.router.Running() }

func (r *Receiver) handle(route Route, msg *message.Message) error {
	d, err := r.delivery(route, msg)
	if err != nil {
		err = r.undecodable(msg.Context(), route, d, err)
	} else {
		err = route.Handle(msg.Context(), d)
	}
	if err != nil && !errors.Is(err, ErrLetGo) && msg.Context().Err() == nil {
		level := slog.LevelWarn
		var later *Later
		if errors.As(err, &later) {
			level = slog.LevelDebug // the handler's own decision, which it reports if it matters
		}
		r.log.Log(msg.Context(), level, "message not done", "route", route.Name, "subject", d.Subject, "delivery", d.Delivered, "error", err)
	}
	return err
}

func (r *Receiver) undecodable(ctx context.Context, route Route, d Delivery, err error) error {
	var unknown *events.UnknownVersionError
	if errors.As(err, &unknown) && time.Since(d.Time) < route.UnknownFor {
		r.log.Warn("message given back: a newer service may know it", "route", route.Name, "subject", d.Subject, "delivery", d.Delivered, "error", err)
		return &Later{Delay: Patience(d.Delivered, 10*time.Second), Err: err}
	}
	if route.Undecodable != nil {
		return route.Undecodable(ctx, d, err)
	}
	return &Dead{Err: err}
}

func (r *Receiver) delivery(route Route, msg *message.Message) (Delivery, error) {
	at := arrived(msg.Context())
	d := Delivery{
		Message:   Message{Subject: at.subject, Stream: at.stream, Sequence: at.sequence, Time: at.stored},
		Delivered: at.delivered, quiet: at.quiet,
	}
	if route.raw {
		d.Data = msg.Payload
		return d, nil
	}
	if route.Doorbell {
		if e, ok := familiar(typeOf(d.Subject), at.header, msg.Payload); ok {
			d.ID, d.Data = e.id, e.data
			return d, nil
		}
	}
	said, err := r.bus.decode(d.Subject, at.header, msg.Payload)
	d.Event, d.ID, d.Data, d.Bare = said.event, said.id, said.data, said.bare
	return d, err
}
