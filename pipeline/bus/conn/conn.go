package conn

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// Conn is a connection to NATS. It is safe for concurrent use.
type Conn struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	log  *slog.Logger
	name string
	// server is where the connection led to when it was last looked at.
	server atomic.Pointer[string]
	codec  *codec.Codec

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the goroutines that Go started

	replies   replyMux
	denials   denials
	reconnect reconnectSignal
	buckets   buckets
	limits    limits
}

// Server is the host and port that the connection leads to; while there is no
// connection, those that it led to before.
func (c *Conn) Server() string {
	if url := c.nc.ConnectedUrl(); url != "" {
		server := host(url)
		c.server.Store(&server)
	}
	return *c.server.Load()
}

// Connected reports whether the connection stands right now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Name is the client's name, such as "inference".
func (c *Conn) Name() string { return c.name }

// Logger is where the packages that use the connection log.
func (c *Conn) Logger() *slog.Logger { return c.log }

// Codec reads and writes the events of this connection. All users share it,
// since it remembers the specification of the runs that it read last.
func (c *Conn) Codec() *codec.Codec { return c.codec }

// Closed is closed by Close.
func (c *Conn) Closed() <-chan struct{} { return c.ctx.Done() }

// Reconnected returns a channel that is closed at the next reconnect.
func (c *Conn) Reconnected() <-chan struct{} { return c.reconnect.next() }

// Go runs work in a goroutine that Close waits for. The context of work ends
// with ctx and with Close.
func (c *Conn) Go(ctx context.Context, work func(ctx context.Context)) {
	c.wg.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		work(ctx)
	})
}

// Subscribe calls handle for each message that core NATS shows on a subject:
// at most once, and also those that a stream refused. Handle must not block.
func (c *Conn) Subscribe(subject string, handle func(*nats.Msg)) (*nats.Subscription, error) {
	return c.nc.Subscribe(subject, handle)
}

// SubscribeInbox sends the messages of an inbox of its own to ch.
func (c *Conn) SubscribeInbox(ch chan *nats.Msg) (*nats.Subscription, error) {
	return c.nc.ChanSubscribe(c.nc.NewInbox(), ch)
}

// Send sends a message by core NATS and waits for nothing.
func (c *Conn) Send(op Op, msg *nats.Msg) error {
	if err := c.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Close sends the buffered messages and closes the connection, within 2
// seconds. It may be called twice.
func (c *Conn) Close() {
	_ = c.nc.FlushTimeout(2 * time.Second) // whatever is not sent in time is published again by the next owner
	c.cancel()
	c.nc.Close()
	c.wg.Wait()
}
