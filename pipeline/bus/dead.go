package bus

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter; the original's headers are kept beside them.
const (
	HeaderDeadReason   = "Tunebus-Dead-Reason"
	HeaderDeadSubject  = "Tunebus-Dead-Subject"
	HeaderDeadStream   = "Tunebus-Dead-Stream"
	HeaderDeadSequence = "Tunebus-Dead-Sequence"
)

// bury copies a message to dead.<stream>.<sequence>. A second copy of the
// same message replaces nothing and is dropped by its id.
func (b *Bus) bury(ctx context.Context, in jetstream.Msg, reason string) error {
	meta, err := in.Metadata()
	if err != nil {
		return fmt.Errorf("bury %s: %w", in.Subject(), err)
	}
	seq := strconv.FormatUint(meta.Sequence.Stream, 10)
	msg := nats.NewMsg("dead." + meta.Stream + "." + seq)
	msg.Data = in.Data()
	for k, v := range in.Headers() {
		msg.Header[k] = v
	}
	msg.Header[headerMsgID] = []string{msg.Subject}
	msg.Header.Set(HeaderDeadReason, reason)
	msg.Header.Set(HeaderDeadSubject, in.Subject())
	msg.Header.Set(HeaderDeadStream, meta.Stream)
	msg.Header.Set(HeaderDeadSequence, seq)
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("bury %s: %w", in.Subject(), err)
	}
	b.log.Error("message given up; it is among the dead letters", "subject", in.Subject(), "stream", meta.Stream, "sequence", seq, "reason", reason)
	return nil
}
