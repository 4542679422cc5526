// Package codec writes and reads events as CloudEvents 1.0 in structured mode,
// the form in which they lie in the streams.
//
// [Codec.Encode] returns the NATS message of an event. [Codec.Decode] reads a
// stored message back: as the event that the subject promises, or with an error
// that [IsUndecodable] recognises. A body that is not a CloudEvent counts as
// the plain JSON of a request, and only of a request.
//
//	c := codec.New("name of this process")
//	msg, err := c.Encode(ctx, event, codec.MessageID(event))
//	…
//	d, err := c.Decode(msg.Subject, msg.Header, msg.Data)
//
// Envelopes that tunebus wrote itself are taken apart by a short parser of our
// own (parseFastEnvelope), since the SDK decodes each body several times;
// BenchmarkEnvelope measures both. Every other envelope goes to the CloudEvents
// SDK, and a test holds that both read the same.
package codec
