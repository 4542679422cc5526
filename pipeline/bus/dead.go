package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Headers of a dead letter; the original's headers are kept beside them.
const (
	HeaderDeadReason   = "Tunebus-Dead-Reason"
	HeaderDeadSubject  = "Tunebus-Dead-Subject"
	HeaderDeadStream   = "Tunebus-Dead-Stream"
	HeaderDeadSequence = "Tunebus-Dead-Sequence"
	// HeaderDeadCut is the length of the original body, in bytes, where the
	// letter would have been larger than the server takes and its body was cut.
	HeaderDeadCut = "Tunebus-Dead-Cut"
	// PrefixDead stands before the original's headers that the server acts
	// on ("Nats-…"): they were meant for the original's stream.
	PrefixDead = "Tunebus-Dead-"
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
		if strings.HasPrefix(k, "Nats-") {
			k = PrefixDead + k
		}
		msg.Header[k] = v
	}
	msg.Header[headerMsgID] = []string{msg.Subject}
	msg.Header.Set(HeaderDeadReason, reason)
	msg.Header.Set(HeaderDeadSubject, in.Subject())
	msg.Header.Set(HeaderDeadStream, meta.Stream)
	msg.Header.Set(HeaderDeadSequence, seq)
	b.fit(msg)
	failpoint.Here(failpoint.BeforeBury)
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("bury %s: %w", in.Subject(), err)
	}
	failpoint.Here(failpoint.AfterBury)
	b.log.Error("message given up; it is among the dead letters", "subject", in.Subject(), "stream", meta.Stream, "sequence", seq, "reason", reason)
	return nil
}

// fit cuts the body of a letter that the server would not take; the original
// stays whole where it was stored.
func (b *Bus) fit(msg *nats.Msg) {
	if int64(msg.Size()) <= b.nc.MaxPayload() {
		return
	}
	msg.Header.Set(HeaderDeadCut, strconv.Itoa(len(msg.Data)))
	over := int64(msg.Size()) - b.nc.MaxPayload()
	msg.Data = msg.Data[:max(0, int64(len(msg.Data))-over)]
}
