// Package delivery takes messages from durable pull consumers, hands each to a
// handler, and settles it: the one place that replies to a delivery.
//
// A [Router] runs [Route]s. A free slot takes one message, sends heartbeats
// (InProgress) at a third of the consumer's ack wait while the handler works,
// and settles the message by the handler's error. It asks the server for one
// message at a time, so that a message waits for no slot that is busy. Only the
// slot of an idempotent route asks for 64 at once ([Route.Idempotent]).
//
//	nil                     Ack, confirmed by the server
//	[*RetryAfter]           NakWithDelay
//	[*DeadLetterError]      copy to the dead letters, then Term with the reason
//	[ErrOwnershipLost]      no reply at all: it would act on the new owner's delivery
//	any other error         NakWithDelay, growing from the route's delay
//	last delivery, an error copy to the dead letters, then Term
//
// No message is delivered for ever: one that has failed for [Router.RetryFor]
// becomes a dead letter.
//
// A handler that panics five times on one message makes it a dead letter. A
// message that cannot be decoded never reaches the handler; one of an unknown
// version is given back for [Route.HoldUnknownVersion], so that services may be
// upgraded in any order.
//
//	r, err := delivery.NewRouter(c, deadletter.New(c), log)
//	r.Add(delivery.Route{
//		Name: "cancel", Stream: events.StreamFacts, Consumer: topology.ConsumerCancel,
//		Handle: func(ctx context.Context, d delivery.Delivery) error { … },
//	})
//	return r.Run(ctx) // until ctx ends and every message in work is settled
//
// # Delays
//
// The server delivers a message again:
//
//	an error that names no delay      1 s, growing to 15 min           [Route.NakDelay], [RedeliveryDelay]
//	[*RetryAfter]                     what its Delay says
//	an unknown version                10 s, growing to 15 min, 7 days  [Router.HoldUnknownVersion]
//	a dead letter that is not stored  5 s
//	no reply and no heartbeat         the consumer's ack wait          topology.Topology
//	a message left to a later process 30 s, then 10 min                [LeftAloneDelay]
//	the process stops                 at once
//
// The delays of this package are in delays.go. Who asks by a [RetryAfter] has its
// own: a failed job waits as retry.Policy.Delay says, one that its worker cannot do as
// worker.Timing.WrongWorkerDelay does, and a request while the stream is full
// as intake does (services/intake/capacity_gate.go).
//
// # Watermill
//
// Watermill carries the middle: its router runs the handlers behind its
// Recoverer, and its conformance suite tests [Subscriber]. Three parts are ours.
// The pull subscription (pull.go), because the client library's Fetch creates a
// subscription per request and a busy server would see thousands a second. The
// worker pool (handlerPool), because Watermill starts a goroutine per
// message, whose stack grows anew each time. The settlement (settle.go),
// because Watermill knows only ack and nack; the handler's error reaches it
// through the message's context.
//
// # Tests
//
// Its tests with a real server are in embedded/bustest.
package delivery
