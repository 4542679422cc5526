package codec

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// Message is a stored message and the event that it holds.
type Message struct {
	// Event is the decoded event; nil if the message cannot be decoded.
	Event events.Event
	// Unreadable is why a fact cannot be decoded: it is malformed, or of a
	// version that this program does not know. Else nil.
	Unreadable error
	// ID is the event's id.
	ID      string
	Subject string
	Stream  string
	// Sequence is the position in the stream, from 1.
	Sequence uint64
	// Time is when the stream stored the message. For a message that was just
	// published it is the time of the publisher.
	Time time.Time
}

// HeaderRedriveSubject is, on a message that was redriven, the subject that it
// was first stored on. The message is decoded as an event of that subject.
const HeaderRedriveSubject = "Tunebus-Retry-Subject"

// OriginalSubject is the subject that a message was first stored on.
func OriginalSubject(subject string, h nats.Header) string {
	if events.IsRedrive(subject) {
		if first := h.Get(HeaderRedriveSubject); first != "" {
			return first
		}
	}
	return subject
}
