package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// ErrNotFound means that no message is stored on a subject or at a sequence.
var ErrNotFound = errors.New("nothing is stored there")

// ErrNoStream means that the server has no such stream, or no JetStream at all.
var ErrNoStream = errors.New("the stream does not exist")

// Message is a message as it lies in its stream.
type Message struct {
	Stream   string
	Subject  string
	Sequence uint64
	Time     time.Time
	Header   nats.Header
	Data     []byte
}

// ID is the id under which the message was published.
func (m Message) ID() string { return m.Header.Get(nats.MsgIdHdr) }

// OriginalSubject is the subject that the message was first stored on; it
// differs from Subject for a message that was redriven.
func (m Message) OriginalSubject() string { return codec.OriginalSubject(m.Subject, m.Header) }

// parseGet parses the reply to the request for one message.
func parseGet(stream string, body []byte) (Message, error) {
	var reply struct {
		Error *struct {
			Code        jetstream.ErrorCode `json:"err_code"`
			Description string              `json:"description"`
		} `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Headers []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return Message{}, err
	}
	if reply.Error != nil {
		if reply.Error.Code == jetstream.JSErrCodeMessageNotFound {
			return Message{}, ErrNotFound
		}
		if reply.Error.Code == jetstream.JSErrCodeStreamNotFound {
			return Message{}, fmt.Errorf("%w: %s", ErrNoStream, stream)
		}
		return Message{}, errors.New(reply.Error.Description)
	}
	m := reply.Message
	h := nats.Header{}
	if len(m.Headers) > 0 {
		var err error
		if h, err = nats.DecodeHeadersMsg(m.Headers); err != nil {
			return Message{}, err
		}
	}
	return Message{Stream: stream, Subject: m.Subject, Sequence: m.Seq, Time: m.Time, Header: h, Data: m.Data}, nil
}

// parseDirect parses one reply of a direct get.
func parseDirect(msg *nats.Msg) (Message, error) {
	h := msg.Header
	seq, err := strconv.ParseUint(h.Get(nats.JSSequence), 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("direct get: sequence %q: %w", h.Get(nats.JSSequence), err)
	}
	at, err := time.Parse(time.RFC3339Nano, h.Get(nats.JSTimeStamp))
	if err != nil {
		return Message{}, fmt.Errorf("direct get: time: %w", err)
	}
	return Message{Stream: h.Get(nats.JSStream), Subject: h.Get(nats.JSSubject), Sequence: seq, Time: at, Header: h, Data: msg.Data}, nil
}
