package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Redrive publishes a letter's message again, whole and under a new id: a
// request on its usual subject, a fact for the consumer that gave it up alone.
// Only then it removes the letter. It may be repeated: the message is stored
// once for one letter.
func (q *Queue) Redrive(ctx context.Context, l Letter) (codec.Message, error) {
	if l.Cut > 0 {
		return codec.Message{}, l.refused(fmt.Errorf("only %d of %d bytes of its body were kept, and message %d of %s is gone; it can only be discarded",
			len(l.Body), l.Cut, l.Original, l.Stream))
	}
	var m codec.Message
	var err error
	switch l.Stream {
	case events.StreamRequests:
		m, err = q.redriveRequest(ctx, l)
	case events.StreamFacts:
		m, err = q.redriveFact(ctx, l)
	default:
		err = fmt.Errorf("nobody takes back what lay in %s; it can only be discarded", l.Stream)
	}
	if err != nil {
		return codec.Message{}, l.refused(err)
	}
	if err := q.Discard(ctx, l.Sequence); err != nil {
		return m, fmt.Errorf("the message was redriven, as %d of %s: %w", m.Sequence, m.Stream, err)
	}
	return m, nil
}

func (l Letter) refused(err error) error {
	return fmt.Errorf("redrive dead letter %d: %w", l.Sequence, err)
}

// redriveRequest publishes a request again. The server remembers ids for some
// minutes only, so an earlier redrive is looked for in the stream.
func (q *Queue) redriveRequest(ctx context.Context, l Letter) (codec.Message, error) {
	id := fmt.Sprintf("retry/%d/%d", l.Sequence, l.Time.UnixNano())
	msg := l.message(events.TypePipelineRequested, id)
	m := codec.Message{ID: id, Subject: msg.Subject, Stream: events.StreamRequests, Time: time.Now()}
	since := streams.FromTime(l.Time.Add(-time.Minute)) // the clocks of servers may differ
	err := q.stored.Scan(ctx, m.Stream, since, msg.Subject, func(earlier streams.Message) error {
		if earlier.ID() == id {
			m.Sequence, m.Time = earlier.Sequence, earlier.Time
		}
		return nil
	})
	if err != nil || m.Sequence > 0 {
		return m, err
	}
	m.Sequence, err = q.publish(ctx, msg)
	return m, err
}

// redriveFact publishes a fact for the consumer that gave it up. The subject is
// the letter's own, so the stream refuses a second message for one letter.
func (q *Queue) redriveFact(ctx context.Context, l Letter) (codec.Message, error) {
	if l.Run == "" {
		return codec.Message{}, fmt.Errorf("%q is no subject of a fact; it can only be discarded", l.Subject)
	}
	accepts, err := q.acceptsRedrive(ctx, l.Stream, l.Consumer)
	if err != nil {
		return codec.Message{}, err
	}
	if !accepts {
		return codec.Message{}, fmt.Errorf("consumer %q takes nothing back on %s; \"tunebus setup\" declares those of services and queues", l.Consumer, q.conn.Server())
	}
	_, err = q.stored.Latest(ctx, l.Stream, events.PipelineAccepted{RunID: l.Run}.Subject())
	if errors.Is(err, streams.ErrNotFound) {
		return codec.Message{}, fmt.Errorf("run %s is not in stream %s: it was archived, or never accepted; the letter can only be discarded", l.Run, l.Stream)
	}
	if err != nil {
		return codec.Message{}, err
	}
	if err := q.jobEnded(ctx, l); err != nil {
		return codec.Message{}, err
	}
	subject := events.RedriveSubject(l.Consumer, l.Run, l.Sequence)
	id := fmt.Sprintf("%s/%d", subject, l.Time.UnixNano())
	msg := l.message(subject, id)
	msg.Header.Set(codec.HeaderRedriveSubject, l.Subject)
	m := codec.Message{ID: id, Subject: subject, Stream: events.StreamFacts, Time: time.Now()}
	if m.Sequence, err = q.publish(ctx, msg); err == nil {
		return m, nil
	}
	earlier, readErr := q.stored.Latest(ctx, m.Stream, subject)
	if readErr == nil && earlier.ID() == id {
		m.Sequence, m.Time = earlier.Sequence, earlier.Time
		return m, nil
	}
	if journal.IsFull(err) && errors.Is(readErr, streams.ErrNotFound) {
		return m, fmt.Errorf("stream %s is full: %w", m.Stream, err)
	}
	return m, err
}

// jobEnded returns an error if the letter is a job whose phase is completed: no
// worker would work on it again.
func (q *Queue) jobEnded(ctx context.Context, l Letter) error {
	phase, event, _ := strings.Cut(subjectType(l.Subject), ".")
	if event != events.EventRequested || !events.Phase(phase).Valid() {
		return nil
	}
	_, err := q.stored.Latest(ctx, l.Stream, events.CompletedSubject(events.Phase(phase), l.Run))
	if errors.Is(err, streams.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the %s phase of run %s has ended, as a failure if the job was given up; \"tunebus rerun %s --from %s\" repeats it",
		phase, l.Run, l.Run, phase)
}

// subjectType is the event type in a fact's subject; empty for another subject.
func subjectType(subject string) string {
	about, err := events.ParseSubject(subject)
	if err != nil {
		return ""
	}
	return about.Type
}

func (q *Queue) publish(ctx context.Context, msg *nats.Msg) (sequence uint64, err error) {
	err = q.conn.Request(ctx, conn.Publish, func(ctx context.Context, js jetstream.JetStream) error {
		ack, err := js.PublishMsg(ctx, msg)
		if err == nil {
			sequence = ack.Sequence
		}
		return err
	})
	return sequence, err
}

// acceptsRedrive reports whether a consumer takes redriven messages: a durable
// of the stream of facts that topology.Apply created, or the one of the
// requests.
func (q *Queue) acceptsRedrive(ctx context.Context, stream, consumer string) (accepts bool, err error) {
	if stream == events.StreamRequests {
		return consumer == topology.ConsumerIntake, nil
	}
	err = q.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		c, err := js.Consumer(ctx, stream, consumer)
		if err == nil {
			accepts = slices.Contains(c.CachedInfo().Config.FilterSubjects, events.RedriveFilter(consumer))
		}
		return err
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at consumer %s of %s: %w", consumer, stream, err)
	}
	return accepts, nil
}
