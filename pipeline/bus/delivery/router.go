package delivery

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
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Router runs routes.
type Router struct {
	// HoldUnknownVersion is the default for routes that do not set their own.
	// Default 7 days. It has to be set before Add.
	HoldUnknownVersion time.Duration
	// RetryFor is how long a message may fail before it becomes a dead letter,
	// from its first failure in this process. Default 24 hours. The consumer's
	// MaxDeliver limits a message that ends its process. It has to be set
	// before Run.
	RetryFor time.Duration

	conn   *conn.Conn
	dead   DeadLetters
	log    *slog.Logger
	router *message.Router
	slots  int          // of all routes
	pool   *handlerPool // while it runs
	failed *failures
}

// NewRouter returns a router without routes. Messages that are given up go to
// dead.
func NewRouter(c *conn.Conn, dead DeadLetters, log *slog.Logger) (*Router, error) {
	var details watermill.LoggerAdapter = watermill.NopLogger{}
	if log.Enabled(context.Background(), slog.LevelDebug) { // Watermill formats log fields before it checks the level
		details = watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
			slog.LevelInfo: slog.LevelDebug,
			// Watermill logs every error of a handler; handle has already
			// logged it with the subject.
			slog.LevelError: slog.LevelDebug,
		})
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: time.Minute}, details)
	if err != nil {
		return nil, fmt.Errorf("new router: %w", err)
	}
	r := &Router{HoldUnknownVersion: holdUnknownVersion, RetryFor: retryFor, failed: newFailures(), conn: c, dead: dead, log: log, router: router}
	router.AddMiddleware(r.inPool, rememberError, (&panicCounter{log: log}).middleware, middleware.Recoverer)
	return r, nil
}

// Add adds a route; it has to be called before Run.
func (r *Router) Add(route Route) {
	if route.Grace == 0 {
		route.Grace = 10 * time.Second
	}
	if route.NakDelay == 0 {
		route.NakDelay = nakDelay
	}
	if route.HoldUnknownVersion == 0 {
		route.HoldUnknownVersion = r.HoldUnknownVersion
	}
	sub := NewSubscriber(r.conn, r.dead, SubscriberConfig{
		Slots:      route.Slots,
		Idempotent: route.Idempotent,
		Grace:      route.Grace,
		NakDelay:   route.NakDelay,
		Logger:     r.log,
	})
	r.slots += sub.cfg.Slots
	r.router.AddConsumerHandler(route.Name, route.Stream+"/"+route.Consumer, sub, func(msg *message.Message) error {
		return r.handle(route, msg)
	})
}

// Run takes messages until ctx ends and every message in work is settled. A
// handler sees the end of ctx in its own context.
func (r *Router) Run(ctx context.Context) error {
	r.pool = newHandlerPool(r.slots)
	defer r.pool.stop()
	if err := r.router.Run(ctx); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

// Running is closed when every route takes messages.
func (r *Router) Running() <-chan struct{} { return r.router.Running() }

// inPool is the middleware that handles a message in the pool.
func (r *Router) inPool(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) { return r.pool.run(msg, next) }
}

// rememberError is the middleware that hands a handler's error to the
// subscriber; Watermill's router only nacks.
func rememberError(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := h(msg)
		metaFrom(msg.Context()).err = err
		return out, err
	}
}

func (r *Router) handle(route Route, msg *message.Message) error {
	d, err := r.delivery(route, msg)
	if err != nil {
		err = r.undecodable(msg.Context(), route, d, err)
	} else {
		err = route.Handle(msg.Context(), d)
	}
	err = r.limitRetries(route, d, err)
	if err != nil && !errors.Is(err, ErrOwnershipLost) && msg.Context().Err() == nil {
		level := slog.LevelWarn
		if _, ok := errors.AsType[*RetryAfter](err); ok {
			level = slog.LevelDebug // the handler's own decision, which it logs if it matters
		}
		r.log.Log(msg.Context(), level, "message not done", "route", route.Name, "subject", d.Subject, "delivery", d.Delivered, "error", err)
	}
	return err
}

// limitRetries turns the error of a message that has failed for too long into a
// [*DeadLetterError]. Metric points may get lost, so their consumer's MaxDeliver
// ends them.
func (r *Router) limitRetries(route Route, d Delivery, err error) error {
	_, dead := errors.AsType[*DeadLetterError](err)
	again, asked := errors.AsType[*RetryAfter](err)
	if err == nil || dead || asked && again.Bounded || errors.Is(err, ErrOwnershipLost) || route.Stream == events.StreamMetrics {
		r.failed.done(route.Name, d.Sequence)
		return err
	}
	if r.failed.failing(route.Name, d.Sequence) < r.RetryFor {
		return err
	}
	if asked {
		err = again.Err
	}
	return &DeadLetterError{Err: fmt.Errorf("it has failed for %s; the last time: %w", r.RetryFor, err)}
}

// undecodable decides what becomes of a message that cannot be decoded.
func (r *Router) undecodable(ctx context.Context, route Route, d Delivery, err error) error {
	if _, ok := errors.AsType[*events.UnknownVersionError](err); ok && time.Since(d.Time) < route.HoldUnknownVersion {
		r.log.Warn("message given back: a newer service may know it", "route", route.Name, "subject", d.Subject, "delivery", d.Delivered, "error", err)
		return &RetryAfter{Delay: RedeliveryDelay(d.Delivered, unknownVersionDelay), Err: err, Bounded: true}
	}
	if route.Undecodable != nil {
		return route.Undecodable(ctx, d, err)
	}
	return &DeadLetterError{Err: err}
}

// delivery decodes a message as its route asks for.
func (r *Router) delivery(route Route, msg *message.Message) (Delivery, error) {
	meta := metaFrom(msg.Context())
	d := Delivery{
		Message:       codec.Message{Subject: meta.subject, Stream: meta.stream, Sequence: meta.sequence, Time: meta.stored},
		Delivered:     meta.delivered,
		stopHeartbeat: meta.stopHeartbeat,
	}
	if route.Raw {
		d.Data = msg.Payload
		return d, nil
	}
	if route.SubjectOnly {
		if peeked, ok := codec.Peek(d.Subject, meta.header, msg.Payload); ok {
			d.ID, d.Data = peeked.ID, peeked.Data
			return d, nil
		}
	}
	decoded, err := r.conn.Codec().Decode(d.Subject, meta.header, msg.Payload)
	d.Event, d.ID, d.Data, d.PlainJSON = decoded.Event, decoded.ID, decoded.Data, decoded.PlainJSON
	return d, err
}

// metaFrom is the meta of the message that a handler got ctx with. It is empty
// if the message did not come from a [Subscriber].
func metaFrom(ctx context.Context) *deliveryMeta {
	if m, ok := ctx.Value(metaKey{}).(*deliveryMeta); ok {
		return m
	}
	return &deliveryMeta{}
}

// handlerPool is a set of goroutines that handle one message after the other.
// Watermill starts a goroutine for each message, whose stack is doubled and
// copied again and again on the way down into a handler's JSON. The stacks of
// the pool keep their size.
type handlerPool struct {
	work    chan func()
	quit    chan struct{}
	ended   chan struct{} // gets a value for each goroutine that has ended
	workers int
}

// newHandlerPool starts a pool; stop has to be called.
func newHandlerPool(workers int) *handlerPool {
	p := &handlerPool{
		work:    make(chan func()),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}, workers),
		workers: workers,
	}
	for range workers {
		go p.loop()
	}
	return p
}

func (p *handlerPool) loop() {
	for {
		select {
		case f := <-p.work:
			f()
		case <-p.quit:
			p.ended <- struct{}{}
			return
		}
	}
}

// run handles a message on a free goroutine of the pool. If none is free, since
// messages whose grace is over are still handled, it handles the message on the
// caller's.
func (p *handlerPool) run(msg *message.Message, next message.HandlerFunc) (out []*message.Message, err error) {
	done := make(chan struct{})
	f := func() {
		defer close(done)
		out, err = next(msg)
	}
	select {
	case p.work <- f:
		<-done
	default:
		f()
	}
	return out, err
}

// stop ends the goroutines. The router has waited for the handlers before; a
// handler that it gave up is not waited for here either.
func (p *handlerPool) stop() {
	close(p.quit)
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	for range p.workers {
		select {
		case <-p.ended:
		case <-deadline.C:
			return
		}
	}
}
