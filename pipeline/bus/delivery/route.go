package delivery

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// Delivery is a message that was delivered to a handler.
type Delivery struct {
	codec.Message
	// Data is the event's own JSON, for handlers that decode it themselves.
	Data []byte
	// PlainJSON reports whether the message is not a CloudEvent but a request's
	// data alone.
	PlainJSON bool
	// Delivered counts the deliveries of the message, from 1.
	Delivered int

	stopHeartbeat func()
}

// StopHeartbeat ends the heartbeats of a message that its handler has lost,
// since each would act on the delivery of the new owner. The handler's error
// still settles the message.
func (d Delivery) StopHeartbeat() {
	if d.stopHeartbeat != nil {
		d.stopHeartbeat()
	}
}

// Handler handles one message. Its error settles the message as the package
// comment says.
type Handler func(ctx context.Context, d Delivery) error

// Route is a consumer and the handler of its messages.
type Route struct {
	// Name is the route's name in logs.
	Name string
	// Stream and Consumer name the durable consumer.
	Stream, Consumer string
	// Slots is how many messages are handled at the same time. Default 1.
	Slots int
	// Idempotent marks handlers that are quick and safe to repeat. They get
	// batches of 64, no heartbeats, and unconfirmed acks. It is not for jobs.
	Idempotent bool
	// SubjectOnly marks handlers that look at the subject, or at little of the
	// data, and read the stream for the rest. A message whose envelope is a
	// current event's is then not decoded: the delivery has no Event.
	SubjectOnly bool
	// Raw marks consumers whose messages are not events: the handler reads
	// Data, and nothing is decoded.
	Raw bool
	// Grace is how long a handler may go on after the router was stopped.
	// Default 10 s.
	Grace time.Duration
	// NakDelay is the delay after an error that names none; it grows with each
	// delivery, see [RedeliveryDelay]. Default 1 s.
	NakDelay time.Duration
	// HoldUnknownVersion is how long an event of an unknown version is given
	// back before it becomes a dead letter. Default: the router's.
	HoldUnknownVersion time.Duration
	Handle             Handler
	// Undecodable, if set, is called with a message that cannot be decoded
	// before it becomes a dead letter; nil means that it was dealt with.
	Undecodable func(ctx context.Context, d Delivery, err error) error
}
