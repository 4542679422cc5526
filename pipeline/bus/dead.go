package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Headers of a dead letter; the original's headers are kept beside them.
const (
	HeaderDeadReason   = "Tunebus-Dead-Reason"
	HeaderDeadSubject  = "Tunebus-Dead-Subject"
	HeaderDeadStream   = "Tunebus-Dead-Stream"
	HeaderDeadSequence = "Tunebus-Dead-Sequence"
	// HeaderDeadConsumer is the durable consumer that gave the message up.
	HeaderDeadConsumer = "Tunebus-Dead-Consumer"
	// HeaderDeadCut is the length of the original body, in bytes, where the
	// letter would have been larger than the server takes and its body was cut.
	HeaderDeadCut = "Tunebus-Dead-Cut"
	// PrefixDead stands before the original's headers that the server acts
	// on ("Nats-…"): they were meant for the original's stream.
	PrefixDead = "Tunebus-Dead-"
)

// last reports whether the server will not deliver the message again. Metric
// points may be lost, so nobody has to look after them.
func last(in *nats.Msg, most int) bool {
	if most <= 0 {
		return false
	}
	meta, err := in.Metadata()
	return err == nil && meta.NumDelivered >= uint64(most) && meta.Stream != events.StreamMetrics
}

// giveUp stores the dead letter of a message before the server is told that
// it is given up.
func (s *Subscriber) giveUp(in *nats.Msg, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, consumer, err := delivered(in)
	if err == nil {
		err = s.bus.bury(ctx, m, consumer, reason)
	}
	if err != nil {
		s.cfg.Logger.Error("dead letter not stored; the message comes again", "subject", in.Subject, "error", err)
		s.nak(in, 5*time.Second)
		return
	}
	s.told(in, in.Respond([]byte("+TERM "+reason)))
}

// bury copies a message that a consumer gives up to dead.<stream>.<sequence>.
// Another consumer's letter of the same message lies beside it. A second copy
// for the same consumer, most often of one who died before the server was
// told, is not stored.
func (b *Bus) bury(ctx context.Context, m entry, consumer, reason string) error {
	msg := nats.NewMsg(events.DeadSubject(m.stream, m.sequence))
	last, err := b.fetch(ctx, events.StreamDead, query{Last: msg.Subject})
	if err == nil && last.header.Get(HeaderDeadConsumer) == consumer {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNothing) {
		return fmt.Errorf("bury %s: %w", m.subject, err)
	}
	msg.Data = m.data
	for k, v := range m.header {
		switch {
		case k == HeaderRetrySubject, strings.HasPrefix(k, PrefixDead):
			continue // of a letter that this message was once handed back for
		case strings.HasPrefix(k, "Nats-"):
			k = PrefixDead + k
		}
		msg.Header[k] = v
	}
	msg.Header[headerMsgID] = []string{msg.Subject + "/" + consumer}
	msg.Header.Set(HeaderDeadReason, reason)
	msg.Header.Set(HeaderDeadSubject, m.meant())
	msg.Header.Set(HeaderDeadStream, m.stream)
	msg.Header.Set(HeaderDeadSequence, strconv.FormatUint(m.sequence, 10))
	msg.Header.Set(HeaderDeadConsumer, consumer)
	b.fit(msg)
	failpoint.Here(failpoint.BeforeBury)
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("bury %s: %w", m.subject, err)
	}
	failpoint.Here(failpoint.AfterBury)
	b.log.Error("message given up; it is among the dead letters: \"tunebus dlq list\"", "subject", m.meant(), "stream", m.stream, "sequence", m.sequence, "consumer", consumer, "reason", reason)
	return nil
}

// delivered is what lies in the stream of a message that was delivered, and
// the consumer that delivered it.
func delivered(in *nats.Msg) (m entry, consumer string, err error) {
	meta, err := in.Metadata()
	if err != nil {
		return entry{}, "", fmt.Errorf("message on %s: %w", in.Subject, err)
	}
	m = entry{stream: meta.Stream, subject: in.Subject, sequence: meta.Sequence.Stream, time: meta.Timestamp, header: in.Header, data: in.Data}
	return m, meta.Consumer, nil
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
