package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// DeadLetters stores messages that a consumer gives up.
type DeadLetters interface {
	// Store copies a message to the dead letters. It may be repeated: one
	// consumer's second letter of a message is not stored.
	Store(ctx context.Context, m streams.Message, consumer, reason string) error
}

// settler replies to deliveries. If a reply does not reach the server, the ack
// wait brings the message back.
type settler struct {
	conn       *conn.Conn
	dead       DeadLetters
	idempotent bool
	nakDelay   time.Duration
	log        *slog.Logger
}

// done acknowledges a message that was handled. The server confirms it, since a
// lost ack causes a redelivery, which reads the whole run again. The ack of an
// idempotent route may get lost.
func (s *settler) done(in *nats.Msg) {
	failpoint.Here(failpoint.BeforeAck)
	defer failpoint.Here(failpoint.AfterAck)
	if s.idempotent {
		s.logError(in, s.reply(in, conn.Ack, "+ACK"))
		return
	}
	for try := range 3 {
		err := s.confirmedReply(in, conn.Ack, "+ACK")
		if err == nil {
			return
		}
		if try == 2 {
			s.logError(in, err)
		}
	}
}

// failed settles a message by the handler's error, as the package comment says.
// maxDeliver is how often the server delivers the message.
func (s *settler) failed(in *nats.Msg, err error, maxDeliver int) {
	if errors.Is(err, ErrOwnershipLost) {
		return // deliberately no reply: it would act on the delivery of the new owner
	}
	if dead, ok := errors.AsType[*DeadLetterError](err); ok {
		s.deadLetter(in, reason(dead.Err))
		return
	}
	cause, delay := err, RedeliveryDelay(delivered(in), s.nakDelay)
	if retry, ok := errors.AsType[*RetryAfter](err); ok {
		cause, delay = retry.Err, retry.Delay
	}
	if isLast(in, maxDeliver) {
		s.deadLetter(in, fmt.Sprintf("delivered %d times, the last time: %s", maxDeliver, reason(cause)))
		return
	}
	s.nak(in, delay)
}

// isLast reports whether the server will not deliver the message again. Metric
// points may get lost, so they never become dead letters.
func isLast(in *nats.Msg, maxDeliver int) bool {
	if maxDeliver <= 0 {
		return false
	}
	meta, err := in.Metadata()
	return err == nil && meta.NumDelivered >= uint64(maxDeliver) && meta.Stream != events.StreamMetrics
}

// delivered is how often the server has delivered a message; 1 if it does not
// say.
func delivered(in *nats.Msg) int {
	meta, err := in.Metadata()
	if err != nil {
		return 1
	}
	return int(min(meta.NumDelivered, math.MaxInt32))
}

// deadLetter stores the dead letter of a message, then terminates the message.
func (s *settler) deadLetter(in *nats.Msg, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, consumer, err := stored(in)
	if err == nil {
		err = s.dead.Store(ctx, m, consumer, reason)
	}
	if err != nil {
		s.log.Error("dead letter not stored; the message comes again", "subject", in.Subject, "error", err)
		s.nak(in, deadLetterDelay)
		return
	}
	s.logError(in, s.reply(in, conn.Term, "+TERM "+reason))
}

// stored is a delivered message as it lies in its stream, and the consumer that
// delivered it.
func stored(in *nats.Msg) (m streams.Message, consumer string, err error) {
	meta, err := in.Metadata()
	if err != nil {
		return streams.Message{}, "", fmt.Errorf("message on %s: %w", in.Subject, err)
	}
	return streams.Message{
		Stream:   meta.Stream,
		Subject:  in.Subject,
		Sequence: meta.Sequence.Stream,
		Time:     meta.Timestamp,
		Header:   in.Header,
		Data:     in.Data,
	}, meta.Consumer, nil
}

// nak asks for a redelivery. It always sends a delay (at least 1 ns), since the
// server keeps only delayed NAKs over a restart, and waits for the reply: a lost
// NAK would delay the redelivery by the ack wait.
func (s *settler) nak(in *nats.Msg, delay time.Duration) {
	failpoint.Here(failpoint.BeforeNak)
	body := fmt.Sprintf(`-NAK {"delay": %d}`, max(delay, 1))
	if s.idempotent {
		s.logError(in, s.reply(in, conn.Nak, body))
		return
	}
	s.logError(in, s.confirmedReply(in, conn.Nak, body))
}

func (s *settler) inProgress(in *nats.Msg) { s.logError(in, s.reply(in, conn.Heartbeat, "+WPI")) }

// reply sends a reply to a delivery and waits for nothing.
func (s *settler) reply(in *nats.Msg, op conn.Op, body string) error {
	return s.conn.Send(op, &nats.Msg{Subject: in.Reply, Data: []byte(body)})
}

// confirmedReply sends a reply to a delivery and waits for the server to
// confirm it. It does not end with the context of the handler: a message that
// was handled during a shutdown is settled, too.
func (s *settler) confirmedReply(in *nats.Msg, op conn.Op, body string) error {
	return s.conn.Request(context.Background(), op, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.Conn().RequestWithContext(ctx, in.Reply, []byte(body))
		return err
	})
}

func (s *settler) logError(in *nats.Msg, err error) {
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.log.Warn("settling a message failed", "subject", in.Subject, "error", err)
	}
}
