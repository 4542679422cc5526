package bus

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// arrival is what is known of a delivered message beside its headers and its
// body, which Watermill's message holds. It travels in that one's context.
type arrival struct {
	// subject is the one that the message is decoded as.
	subject, stream string
	sequence        uint64
	delivered       int // from 1
	stored          time.Time
	header          nats.Header

	// hush is closed by quiet, which ends the message's heartbeats.
	hush  chan struct{}
	quiet func()
}

type arrivalKey struct{}

func newArrival(in *nats.Msg) *arrival {
	a := &arrival{subject: meantSubject(in.Subject, in.Header), header: in.Header, hush: make(chan struct{})}
	a.quiet = sync.OnceFunc(func() { close(a.hush) })
	if meta, err := in.Metadata(); err == nil {
		a.stream, a.sequence, a.delivered, a.stored = meta.Stream, meta.Sequence.Stream, int(meta.NumDelivered), meta.Timestamp.UTC()
	}
	return a
}

// arrived is the arrival of a message in a handler's hands; an empty one where
// it came from somewhere else.
func arrived(ctx context.Context) *arrival {
	if a, ok := ctx.Value(arrivalKey{}).(*arrival); ok {
		return a
	}
	return &arrival{}
}

// received turns a NATS message into Watermill's.
func received(in *nats.Msg) *message.Message {
	msg := message.NewMessage(in.Header.Get(headerMsgID), in.Data)
	for k := range in.Header {
		switch k {
		case metaVerdict, metaDelay, metaReason: // a handler's to say, not a publisher's
		default:
			msg.Metadata.Set(k, in.Header.Get(k))
		}
	}
	return msg
}
