package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// deliveryMeta is what Watermill's message does not hold of a delivery. It
// travels in the message's context, to the handler and back.
type deliveryMeta struct {
	// subject is the one that the message is decoded as.
	subject, stream string
	sequence        uint64
	delivered       int // from 1
	stored          time.Time
	header          nats.Header

	// stopped is closed by stopHeartbeat.
	stopped       chan struct{}
	stopHeartbeat func()

	// err is the handler's error. The router writes it before it nacks the
	// message, the subscriber reads it after that.
	err error
}

type metaKey struct{}

func newMeta(in *nats.Msg) *deliveryMeta {
	m := &deliveryMeta{subject: codec.OriginalSubject(in.Subject, in.Header), header: in.Header, stopped: make(chan struct{})}
	m.stopHeartbeat = sync.OnceFunc(func() { close(m.stopped) })
	if meta, err := in.Metadata(); err == nil {
		m.stream, m.sequence = meta.Stream, meta.Sequence.Stream
		m.delivered, m.stored = int(meta.NumDelivered), meta.Timestamp.UTC()
	}
	return m
}

// metaFrom is the meta of the message that a handler got ctx with. It is empty
// if the message did not come from a [Subscriber].
func metaFrom(ctx context.Context) *deliveryMeta {
	if m, ok := ctx.Value(metaKey{}).(*deliveryMeta); ok {
		return m
	}
	return &deliveryMeta{}
}

// rememberError is the middleware that hands a handler's error to the
// subscriber; Watermill's router only nacks.
func rememberError(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := h(msg)
		metaFrom(msg.Context()).err = err
		return out, err
	}
}

// newMessage turns a NATS message into Watermill's.
func newMessage(in *nats.Msg) *message.Message {
	msg := message.NewMessage(in.Header.Get(nats.MsgIdHdr), in.Data)
	for k := range in.Header {
		msg.Metadata.Set(k, in.Header.Get(k))
	}
	return msg
}
