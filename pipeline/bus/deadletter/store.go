package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Store implements [delivery.DeadLetters]: it copies a message that a consumer
// gives up to dead.<stream>.<sequence>. Another consumer's letter of the same
// message lies beside it. A second letter of the same consumer is not stored:
// most often its first process died before it replied to the server.
func (q *Queue) Store(ctx context.Context, m streams.Message, consumer, reason string) error {
	subject := events.DeadLetterSubject(m.Stream, m.Sequence)
	last, err := q.stored.Latest(ctx, events.StreamDead, subject)
	if err == nil && last.Header.Get(headerConsumer) == consumer {
		return nil
	}
	if err != nil && !errors.Is(err, streams.ErrNotFound) {
		return fmt.Errorf("store dead letter of %s: %w", m.Subject, err)
	}
	msg := newLetter(subject, m, consumer, reason)
	failpoint.Here(failpoint.BeforeDeadLetter)
	err = q.conn.Request(ctx, conn.Publish, func(ctx context.Context, js jetstream.JetStream) error {
		truncateToMaxPayload(msg, js.Conn().MaxPayload())
		_, err := js.PublishMsg(ctx, msg)
		return err
	})
	if err != nil {
		return fmt.Errorf("store dead letter of %s: %w", m.Subject, err)
	}
	failpoint.Here(failpoint.AfterDeadLetter)
	q.log.Error("message given up; it is among the dead letters: \"tunebus dlq list\"",
		"subject", m.OriginalSubject(), "stream", m.Stream, "sequence", m.Sequence, "consumer", consumer, "reason", reason)
	return nil
}

// newLetter is the dead letter of a message.
func newLetter(subject string, m streams.Message, consumer, reason string) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = m.Data
	for k, v := range m.Header {
		switch {
		case k == codec.HeaderRedriveSubject, strings.HasPrefix(k, HeaderPrefix):
			continue // of an earlier letter, for which this message was redriven
		case strings.HasPrefix(k, "Nats-"):
			k = HeaderPrefix + k
		}
		msg.Header[k] = v
	}
	msg.Header[nats.MsgIdHdr] = []string{subject + "/" + consumer}
	msg.Header.Set(HeaderReason, reason)
	msg.Header.Set(HeaderSubject, m.OriginalSubject())
	msg.Header.Set(HeaderStream, m.Stream)
	msg.Header.Set(HeaderSequence, strconv.FormatUint(m.Sequence, 10))
	msg.Header.Set(headerConsumer, consumer)
	leaveOutHeaders(msg)
	return msg
}

// maxHeaderBytes is the largest size of the headers of a letter. JetStream takes
// 64 KiB, and the original may have had nearly as many.
const maxHeaderBytes = 60 << 10

// leaveOutHeaders removes headers of the original that the server would not take
// beside those of the letter, the largest first.
func leaveOutHeaders(msg *nats.Msg) {
	size := func(name string) int {
		n := 0
		for _, v := range msg.Header[name] {
			n += len(name) + len(v) + len(": \r\n")
		}
		return n
	}
	total := 0
	names := slices.Collect(maps.Keys(msg.Header))
	for _, name := range names {
		total += size(name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(size(b)-size(a), strings.Compare(a, b)) })
	var left []string
	for _, name := range names {
		if total <= maxHeaderBytes {
			break
		}
		if isOwnHeader(name) {
			continue
		}
		total -= size(name)
		delete(msg.Header, name)
		left = append(left, name)
	}
	if len(left) > 0 {
		msg.Header.Set(HeaderLeftOut, events.Cut(strings.Join(left, ", "), events.MaxNoteBytes))
	}
}

// isOwnHeader reports whether a header is the letter's, and not of the original.
func isOwnHeader(name string) bool {
	switch name {
	case nats.MsgIdHdr, HeaderReason, HeaderSubject, HeaderStream, HeaderSequence, headerConsumer:
		return true
	}
	return false
}

// truncateToMaxPayload cuts the body of a letter that the server would not
// take. The original stays whole in its stream.
func truncateToMaxPayload(msg *nats.Msg, limit int64) {
	if int64(msg.Size()) <= limit {
		return
	}
	msg.Header.Set(HeaderCut, strconv.Itoa(len(msg.Data)))
	over := int64(msg.Size()) - limit
	msg.Data = msg.Data[:max(0, int64(len(msg.Data))-over)]
}
