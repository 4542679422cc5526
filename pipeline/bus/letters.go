package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Letter is a dead letter: a message that a consumer gave up, and why.
type Letter struct {
	// Sequence is the letter's own, in the stream of dead letters.
	Sequence uint64
	// Time is when the message was given up.
	Time   time.Time
	Reason string
	// Consumer is the durable consumer that gave the message up.
	Consumer string
	// Stream, Original and Subject say where the message was stored.
	Stream   string
	Original uint64
	Subject  string
	// Run is the run of a fact; empty for a request.
	Run string
	// Header and Body are the message's.
	Header map[string][]string
	Body   []byte
	// Cut is the length of the whole body where Body is only its start; else
	// 0.
	Cut int
}

// Letters calls each for every dead letter, the oldest first. Letters that
// come meanwhile may be among them.
func (b *Bus) Letters(ctx context.Context, each func(Letter) error) error {
	return b.scan(ctx, events.StreamDead, query{Sequence: 1}, events.DeadFilter(), func(e entry) error { return each(letterOf(e)) })
}

// Letter reads one dead letter with its whole body, if that is still stored
// somewhere. The error is [ErrNothing] when there is none at the sequence.
func (b *Bus) Letter(ctx context.Context, sequence uint64) (Letter, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	e, err := b.fetch(ctx, events.StreamDead, query{Sequence: sequence})
	if err == nil && e.header.Get(HeaderDeadStream) == "" {
		err = ErrNothing // one of the server's advisories lies there
	}
	if err != nil {
		return Letter{}, fmt.Errorf("dead letter %d: %w", sequence, err)
	}
	l := letterOf(e)
	if l.Cut == 0 {
		return l, nil
	}
	whole, err := b.fetch(ctx, l.Stream, query{Sequence: l.Original})
	if errors.Is(err, ErrNothing) || err == nil && len(whole.data) != l.Cut {
		return l, nil
	}
	if err != nil {
		return Letter{}, fmt.Errorf("dead letter %d: the original at %d of %s: %w", sequence, l.Original, l.Stream, err)
	}
	l.Body, l.Cut = whole.data, 0
	return l, nil
}

func letterOf(e entry) Letter {
	l := Letter{
		Sequence: e.sequence, Time: e.time, Body: e.data, Header: map[string][]string{},
		Reason: e.header.Get(HeaderDeadReason), Consumer: e.header.Get(HeaderDeadConsumer),
		Stream: e.header.Get(HeaderDeadStream), Subject: e.header.Get(HeaderDeadSubject),
	}
	l.Original, _ = strconv.ParseUint(e.header.Get(HeaderDeadSequence), 10, 64) // bury wrote it
	l.Cut, _ = strconv.Atoi(e.header.Get(HeaderDeadCut))                        // absent: 0
	if a, err := events.ParseSubject(l.Subject); err == nil {
		l.Run = a.Run
	}
	for k, v := range e.header {
		name, own := strings.CutPrefix(k, PrefixDead)
		switch {
		case own && strings.HasPrefix(name, "Nats-"):
			l.Header[name] = v
		case own, strings.HasPrefix(k, "Nats-"): // said about the letter
		default:
			l.Header[k] = v
		}
	}
	return l
}

// LetterCount counts the dead letters.
func (b *Bus) LetterCount(ctx context.Context) (int, error) {
	s, err := b.js.Stream(ctx, events.StreamDead)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(events.DeadFilter()))
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	n := 0
	for _, of := range info.State.Subjects {
		n += int(of)
	}
	return n, nil
}

// Discard removes a dead letter. One that is gone already is no error.
func (b *Bus) Discard(ctx context.Context, sequence uint64) error {
	s, err := b.js.Stream(ctx, events.StreamDead)
	if err == nil {
		err = s.DeleteMsg(ctx, sequence)
	}
	if err == nil {
		return nil
	}
	if _, gone := b.fetch(ctx, events.StreamDead, query{Sequence: sequence}); errors.Is(gone, ErrNothing) {
		return nil
	}
	return fmt.Errorf("discard dead letter %d: %w", sequence, err)
}

// scan reads the messages of a stream that match a filter, in pages, from
// where from says.
func (b *Bus) scan(ctx context.Context, stream string, from query, filter string, each func(entry) error) error {
	const most = 256 // messages of one answer
	for left := 1; left > 0; {
		from.Next, from.Batch, from.MaxBytes = filter, most, maxPointBytes
		page, cancel := context.WithTimeout(ctx, 30*time.Second)
		var msgs []*nats.Msg
		var err error
		msgs, left, err = b.direct(page, stream, from, most)
		cancel()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		if len(msgs) == 0 {
			return nil
		}
		for _, msg := range msgs {
			e, err := directEntry(msg)
			if err != nil {
				return fmt.Errorf("read stream %s: %w", stream, err)
			}
			if err := each(e); err != nil {
				return err
			}
			from = query{Sequence: e.sequence + 1}
		}
	}
	return nil
}
