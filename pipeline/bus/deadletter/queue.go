package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// ErrNotFound means that no dead letter is stored at a sequence.
var ErrNotFound = streams.ErrNotFound

// Queue is the stream of dead letters. It is safe for concurrent use.
type Queue struct {
	conn   *conn.Conn
	stored streams.Reader
	log    *slog.Logger
}

// New returns the queue on a connection.
func New(c *conn.Conn) *Queue { return &Queue{conn: c, stored: streams.New(c), log: c.Logger()} }

// List calls each for every dead letter, the oldest first. Letters that are
// stored meanwhile may be among them.
func (q *Queue) List(ctx context.Context, each func(Letter) error) error {
	return q.stored.Scan(ctx, events.StreamDead, streams.FromSequence(1), events.DeadLetterFilter(), func(m streams.Message) error {
		return each(letterOf(m))
	})
}

// Get reads one dead letter. Where the letter's body was cut it reads the whole
// body from the original, if that still exists. The error is [ErrNotFound] if
// there is no letter at the sequence.
func (q *Queue) Get(ctx context.Context, sequence uint64) (Letter, error) {
	m, err := q.stored.Get(ctx, events.StreamDead, sequence)
	if err == nil && m.Header.Get(HeaderStream) == "" {
		err = ErrNotFound // the message is one of the server's advisories
	}
	if err != nil {
		return Letter{}, fmt.Errorf("dead letter %d: %w", sequence, err)
	}
	l := letterOf(m)
	if l.Cut == 0 {
		return l, nil
	}
	whole, err := q.stored.Get(ctx, l.Stream, l.Original)
	if errors.Is(err, streams.ErrNotFound) || err == nil && len(whole.Data) != l.Cut {
		return l, nil
	}
	if err != nil {
		return Letter{}, fmt.Errorf("dead letter %d: the original at %d of %s: %w", sequence, l.Original, l.Stream, err)
	}
	l.Body, l.Cut = whole.Data, 0
	return l, nil
}

// Count counts the dead letters.
func (q *Queue) Count(ctx context.Context) (n int, err error) {
	err = q.conn.Request(ctx, conn.ListSubjects, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamDead)
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(events.DeadLetterFilter()))
		if err != nil {
			return err
		}
		for _, letters := range info.State.Subjects {
			n += int(letters)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// Discard removes a dead letter. A letter that does not exist any more is no
// error.
func (q *Queue) Discard(ctx context.Context, sequence uint64) error {
	err := q.conn.Request(ctx, conn.DeleteMessage, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamDead)
		if err != nil {
			return err
		}
		return s.DeleteMsg(ctx, sequence)
	})
	if err == nil {
		return nil
	}
	if _, readErr := q.stored.Get(ctx, events.StreamDead, sequence); errors.Is(readErr, streams.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("discard dead letter %d: %w", sequence, err)
}
