package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// entry is a message as it lies in its stream; whether it can be decoded is
// another question.
type entry struct {
	stream   string
	subject  string
	sequence uint64
	time     time.Time
	header   nats.Header
	data     []byte
}

// read decodes the event that was stored. What is known of a message that
// cannot be decoded stands beside the error.
func (b *Bus) read(e entry) (Message, error) {
	m := Message{Subject: e.meant(), Stream: e.stream, Sequence: e.sequence, Time: e.time, ID: e.header.Get(headerMsgID)}
	said, err := b.decode(m.Subject, e.header, e.data)
	m.Event = said.event
	return m, err
}

// fetch asks a stream's leader for one message: the newest of a subject or
// the one at a sequence. The error is [ErrNothing] when there is none.
func (b *Bus) fetch(ctx context.Context, stream string, which query) (entry, error) {
	req, err := json.Marshal(which)
	if err != nil {
		return entry{}, err
	}
	api := "$JS.API.STREAM.MSG.GET." + stream
	a, err := b.answers.expect(b.nc, api, 1)
	if err != nil {
		return entry{}, err
	}
	defer a.end()
	if err := b.nc.PublishRequest(api, a.reply, req); err != nil {
		return entry{}, err
	}
	answer, err := b.next(ctx, a)
	if err != nil {
		return entry{}, err
	}
	if answer.Header.Get("Status") == "503" {
		return entry{}, nats.ErrNoResponders
	}
	return readEntry(stream, answer.Data)
}

// readEntry reads the answer to the request for one message.
func readEntry(stream string, body []byte) (entry, error) {
	var got struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Headers []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return entry{}, err
	}
	const codeNoMessage = 10037
	if got.Error != nil {
		if got.Error.Code == codeNoMessage {
			return entry{}, ErrNothing
		}
		return entry{}, errors.New(got.Error.Description)
	}
	m := got.Message
	h := nats.Header{}
	if len(m.Headers) > 0 {
		var err error
		if h, err = nats.DecodeHeadersMsg(m.Headers); err != nil {
			return entry{}, err
		}
	}
	return entry{stream: stream, subject: m.Subject, sequence: m.Seq, time: m.Time, header: h, data: m.Data}, nil
}

// directEntry reads one answer of a direct get.
func directEntry(msg *nats.Msg) (entry, error) {
	h := msg.Header
	seq, err := strconv.ParseUint(h.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return entry{}, fmt.Errorf("direct get: sequence %q: %w", h.Get("Nats-Sequence"), err)
	}
	at, err := time.Parse(time.RFC3339Nano, h.Get("Nats-Time-Stamp"))
	if err != nil {
		return entry{}, fmt.Errorf("direct get: time: %w", err)
	}
	return entry{stream: h.Get("Nats-Stream"), subject: h.Get("Nats-Subject"), sequence: seq, time: at, header: h, data: msg.Data}, nil
}

// meant is the subject of the event: for one that was handed back, the
// subject that it was first stored on.
func (e entry) meant() string { return meantSubject(e.subject, e.header) }

func meantSubject(subject string, h nats.Header) string {
	if events.IsRetry(subject) {
		if first := h.Get(HeaderRetrySubject); first != "" {
			return first
		}
	}
	return subject
}
