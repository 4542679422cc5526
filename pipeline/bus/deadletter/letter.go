package deadletter

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// Headers of a dead letter; it also has the headers of the original.
const (
	HeaderReason   = "Tunebus-Dead-Reason"
	HeaderSubject  = "Tunebus-Dead-Subject"
	HeaderStream   = "Tunebus-Dead-Stream"
	HeaderSequence = "Tunebus-Dead-Sequence"
	// headerConsumer is the durable consumer that gave the message up.
	headerConsumer = "Tunebus-Dead-Consumer"
	// HeaderCut is the length of the original body, in bytes, of a letter whose
	// body was cut because the server would not have taken it.
	HeaderCut = "Tunebus-Dead-Cut"
	// HeaderLeftOut names the headers of the original that were left out because
	// the server would not have taken them.
	HeaderLeftOut = "Tunebus-Dead-Left-Out"
	// HeaderPrefix stands before the original's headers that the server acts on
	// ("Nats-…"): they were meant for the original's stream.
	HeaderPrefix = "Tunebus-Dead-"
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
	// Stream, Original and Subject are where the message was stored; Original
	// is its sequence.
	Stream   string
	Original uint64
	Subject  string
	// Run is the run of a fact; empty for a request.
	Run string
	// Header and Body are the message's.
	Header map[string][]string
	Body   []byte
	// Cut is the length of the whole body if Body is only its start; else 0.
	Cut int
}

// letterOf reads a stored letter.
func letterOf(m streams.Message) Letter {
	l := Letter{
		Sequence: m.Sequence,
		Time:     m.Time,
		Body:     m.Data,
		Header:   map[string][]string{},
		Reason:   m.Header.Get(HeaderReason),
		Consumer: m.Header.Get(headerConsumer),
		Stream:   m.Header.Get(HeaderStream),
		Subject:  m.Header.Get(HeaderSubject),
	}
	l.Original, _ = strconv.ParseUint(m.Header.Get(HeaderSequence), 10, 64) // Store wrote it
	l.Cut, _ = strconv.Atoi(m.Header.Get(HeaderCut))                        // absent: 0
	if a, err := events.ParseSubject(l.Subject); err == nil {
		l.Run = a.Run
	}
	for k, v := range m.Header {
		name, prefixed := strings.CutPrefix(k, HeaderPrefix)
		switch {
		case prefixed && strings.HasPrefix(name, "Nats-"):
			l.Header[name] = v
		case prefixed, strings.HasPrefix(k, "Nats-"): // headers of the letter itself
		default:
			l.Header[k] = v
		}
	}
	return l
}

// message is the message that redrives the letter on a subject, under an id.
func (l Letter) message(subject, id string) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = l.Body
	for k, v := range l.Header {
		if !strings.HasPrefix(k, "Nats-") { // meant for the original's place
			msg.Header[k] = v
		}
	}
	msg.Header[nats.MsgIdHdr] = []string{id}
	return msg
}
