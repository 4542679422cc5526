// Package bus is the only one that talks to NATS: connection, streams,
// publishing with fences, reading a run, and receiving.
//
// # Publishing
//
// [Bus.Publish] stores one event and answers only when it knows what became
// of it. A refused or unanswered publish is read back from the stream's
// leader, by subject, before it is believed.
//
// # Receiving
//
// [Subscriber] is a Watermill subscriber over durable pull consumers. It
// asks for a message only when a slot is free, keeps the delivery alive while
// the handler works, and settles it by what the handler returned:
//
//	nil              Ack, confirmed by the server
//	[Later]          NakWithDelay
//	[Dead]           copy to the dead letters, then Term with the reason
//	[ErrLetGo]       nothing at all: another worker owns the job now
//	any other error  Nak with the subscriber's default delay
//
// # Reading
//
// [Bus.Facts] reads all facts of a run in one batched direct get, and
// believes it only if the server said that this was the end.
package bus
