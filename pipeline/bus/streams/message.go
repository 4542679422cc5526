package streams

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// ErrNotFound means that no message is stored on a subject or at a sequence.
var ErrNotFound = errors.New("nothing is stored there")

// ErrNoStream means that the server has no such stream, or no JetStream at all.
var ErrNoStream = errors.New("the stream does not exist")

// ErrBehind means that a copy of a stream answered which lags behind the stream's leader. A
// later request may be answered by another copy, or find this one up to date.
var ErrBehind = errors.New("a copy of the stream answered that lags behind its leader")

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
