package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// HeaderRetrySubject is, on a message that was handed back, the subject that
// it was first stored on: what it is decoded as.
const HeaderRetrySubject = "Tunebus-Retry-Subject"

// HandBack gives a letter's message back, whole and under a new id: a request
// to everybody's front desk, a fact to the consumer that gave it up and to no
// other. Only then is the letter removed. It may be repeated: the message is
// not stored twice for one letter.
func (b *Bus) HandBack(ctx context.Context, l Letter) (Message, error) {
	fail := func(err error) (Message, error) {
		return Message{}, fmt.Errorf("hand back dead letter %d: %w", l.Sequence, err)
	}
	if l.Cut > 0 {
		return fail(fmt.Errorf("only %d of %d bytes of its body were kept, and message %d of %s is gone; it can only be discarded", len(l.Body), l.Cut, l.Original, l.Stream))
	}
	var m Message
	var err error
	switch l.Stream {
	case events.StreamRequests:
		m, err = b.requestAgain(ctx, l)
	case events.StreamFacts:
		m, err = b.factAgain(ctx, l)
	default:
		err = fmt.Errorf("nobody takes back what lay in %s; it can only be discarded", l.Stream)
	}
	if err != nil {
		return fail(err)
	}
	if err := b.Discard(ctx, l.Sequence); err != nil {
		return m, fmt.Errorf("the message was handed back, as %d of %s: %w", m.Sequence, m.Stream, err)
	}
	return m, nil
}

// message is what is published for a letter.
func (l Letter) message(subject string) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = l.Body
	for k, v := range l.Header {
		if !strings.HasPrefix(k, "Nats-") { // meant for the original's place
			msg.Header[k] = v
		}
	}
	return msg
}

// requestAgain publishes a request anew. The server knows ids of the last
// minutes only, so what was published before is looked for.
func (b *Bus) requestAgain(ctx context.Context, l Letter) (Message, error) {
	msg := l.message(events.TypePipelineRequested)
	id := fmt.Sprintf("retry/%d/%d", l.Sequence, l.Time.UnixNano())
	msg.Header[headerMsgID] = []string{id}
	m := Message{ID: id, Subject: msg.Subject, Stream: events.StreamRequests, Time: time.Now()}
	since := query{Since: l.Time.Add(-time.Minute)} // servers' clocks may differ
	err := b.scan(ctx, m.Stream, since, msg.Subject, func(e entry) error {
		if e.header.Get(headerMsgID) == id {
			m.Sequence, m.Time = e.sequence, e.time
		}
		return nil
	})
	if err != nil || m.Sequence > 0 {
		return m, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, msg)
	if err != nil {
		return m, err
	}
	m.Sequence = ack.Sequence
	return m, nil
}

// factAgain publishes a fact for the consumer that gave it up. The subject is
// the letter's own, so the stream itself refuses a second time.
func (b *Bus) factAgain(ctx context.Context, l Letter) (Message, error) {
	if l.Run == "" {
		return Message{}, fmt.Errorf("%q is no subject of a fact; it can only be discarded", l.Subject)
	}
	takes, err := b.handsBack(ctx, l.Stream, l.Consumer)
	if err != nil {
		return Message{}, err
	}
	if !takes {
		return Message{}, fmt.Errorf("consumer %q takes nothing back on %s; \"tunebus setup\" declares those of services and queues", l.Consumer, b.Server())
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := b.fetch(ctx, l.Stream, query{Last: events.PipelineAccepted{RunID: l.Run}.Subject()}); errors.Is(err, ErrNothing) {
		return Message{}, fmt.Errorf("run %s is not in stream %s: it was archived, or never accepted; the letter can only be discarded", l.Run, l.Stream)
	} else if err != nil {
		return Message{}, err
	}
	msg := l.message(events.RetrySubject(l.Consumer, l.Run, l.Sequence))
	id := fmt.Sprintf("%s/%d", msg.Subject, l.Time.UnixNano())
	msg.Header[headerMsgID] = []string{id}
	msg.Header.Set(HeaderRetrySubject, l.Subject)
	m := Message{ID: id, Subject: msg.Subject, Stream: events.StreamFacts, Time: time.Now()}
	ack, err := b.js.PublishMsg(ctx, msg)
	if err == nil {
		m.Sequence = ack.Sequence
		return m, nil
	}
	there, rerr := b.fetch(ctx, m.Stream, query{Last: msg.Subject})
	if rerr == nil && there.header.Get(headerMsgID) == id {
		m.Sequence, m.Time = there.sequence, there.time
		return m, nil
	}
	if code(err) == codeStoreFailed && errors.Is(rerr, ErrNothing) {
		return m, fmt.Errorf("stream %s is full: %w", m.Stream, err)
	}
	return m, err
}
