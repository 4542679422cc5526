package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Reader reads stored messages.
type Reader struct{ conn *conn.Conn }

// New returns a reader on a connection.
func New(c *conn.Conn) Reader { return Reader{c} }

// maxSubjects bounds LatestOfEach: a batched direct get has no more replies.
const maxSubjects = 1024

// The sizes of one reply, in bytes. The server also closes a connection that
// too many bytes wait for.
const (
	maxLatestBytes = 16 << 20
	maxPageBytes   = 1 << 20
)

// pageSize is how many messages a page of a scan has.
const pageSize = 256

// getRequest asks for messages of a stream. Source: NATS ADR-8 and ADR-31.
type getRequest struct {
	// Sequence and Since are where the messages start.
	Sequence uint64    `json:"seq,omitempty"`
	Since    time.Time `json:"start_time,omitzero"`
	// Next is the filter of the messages from there on. Last is a filter of
	// which the newest message is wanted. MultiLast are filters; the newest
	// message of each subject that matches one is wanted.
	Next      string   `json:"next_by_subj,omitempty"`
	Last      string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	// Batch and MaxBytes bound the replies to a request for several messages.
	Batch    int `json:"batch,omitempty"`
	MaxBytes int `json:"max_bytes,omitempty"`
}

// Start is where a scan starts: at a sequence, or at a time.
type Start struct {
	Sequence uint64
	Time     time.Time
}

// FromSequence starts a scan at a sequence; 1 is the start of the stream.
func FromSequence(sequence uint64) Start { return Start{Sequence: sequence} }

// FromTime starts a scan at the first message of a time.
func FromTime(t time.Time) Start { return Start{Time: t} }

// Get asks a stream's leader for the message at a sequence. The error is
// [ErrNotFound] if there is none.
func (r Reader) Get(ctx context.Context, stream string, sequence uint64) (Message, error) {
	return r.get(ctx, stream, getRequest{Sequence: sequence})
}

// Latest asks a stream's leader for the newest message on a subject, which may
// be a filter. The error is [ErrNotFound] if there is none.
func (r Reader) Latest(ctx context.Context, stream, subject string) (Message, error) {
	return r.get(ctx, stream, getRequest{Last: subject})
}

// First asks a stream's leader for the first message from a start on that matches a
// filter. The error is [ErrNotFound] if there is none.
func (r Reader) First(ctx context.Context, stream string, start Start, filter string) (Message, error) {
	return r.get(ctx, stream, getRequest{Sequence: start.Sequence, Since: start.Time, Next: filter})
}

// CheckThrough asks a stream's leader whether a scan is whole that saw its last message at
// the sequence seen: no message from there on to the sequence through may match the filter.
// Otherwise the error is [ErrBehind].
func (r Reader) CheckThrough(ctx context.Context, stream string, seen, through uint64, filter string) error {
	if seen >= through {
		return nil
	}
	m, err := r.First(ctx, stream, FromSequence(seen+1), filter)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case m.Sequence <= through:
		return fmt.Errorf("stream %s: %w", stream, ErrBehind)
	}
	return nil
}

func (r Reader) get(ctx context.Context, stream string, req getRequest) (m Message, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return Message{}, err
	}
	err = r.conn.RequestMany(ctx, conn.GetMessage, "$JS.API.STREAM.MSG.GET."+stream, body, 1, func(reply *nats.Msg) (last bool, err error) {
		if reply.Header.Get("Status") == "503" {
			return true, nats.ErrNoResponders
		}
		m, err = parseGet(stream, reply.Data)
		return true, err
	})
	return m, err
}

// LatestOfEach returns the newest message of each subject that matches one of
// the filters, in no order. It fails if there are more than 1,024 of them, or
// more bytes than one reply holds.
func (r Reader) LatestOfEach(ctx context.Context, stream string, filters []string) ([]Message, error) {
	msgs, left, err := r.batch(ctx, stream, getRequest{MultiLast: filters, Batch: maxSubjects, MaxBytes: maxLatestBytes})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, fmt.Errorf("stream %s kept %d facts back: they are more than one answer holds", stream, left)
	}
	return msgs, nil
}

// Page returns the first page of the messages that match a filter, in the
// stream's order, and how many more there are.
func (r Reader) Page(ctx context.Context, stream string, start Start, filter string) (msgs []Message, more int, err error) {
	req := getRequest{Sequence: start.Sequence, Since: start.Time, Next: filter, Batch: pageSize, MaxBytes: maxPageBytes}
	if msgs, more, err = r.batch(ctx, stream, req); err != nil {
		return nil, 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return msgs, more, nil
}

// Scan calls each for every message that matches a filter, in the stream's
// order, and reads page by page. It stops at the first error of each, and
// returns it.
func (r Reader) Scan(ctx context.Context, stream string, start Start, filter string, each func(Message) error) error {
	for more := 1; more > 0; {
		var msgs []Message
		var err error
		if msgs, more, err = r.Page(ctx, stream, start, filter); err != nil {
			return err
		}
		for _, m := range msgs {
			if err := each(m); err != nil {
				return err
			}
			start = FromSequence(m.Sequence + 1)
		}
		if len(msgs) == 0 {
			return nil
		}
	}
	return nil
}

// batch makes one batched direct get. left is how many messages the server
// left out because the reply has a bound in bytes.
func (r Reader) batch(ctx context.Context, stream string, req getRequest) (msgs []Message, left int, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, 0, err
	}
	err = r.conn.RequestMany(ctx, conn.GetBatch, "$JS.API.DIRECT.GET."+stream, body, req.Batch+1, func(reply *nats.Msg) (last bool, err error) {
		description := reply.Header.Get("Description")
		switch status := reply.Header.Get("Status"); {
		case status == "":
			m, err := parseDirect(reply)
			msgs = append(msgs, m)
			return false, err
		case status == "204":
			if left, err = strconv.Atoi(reply.Header.Get("Nats-Num-Pending")); err != nil {
				return true, fmt.Errorf("stream %s: messages left out: %w", stream, err)
			}
			return true, nil
		// The server also answers 404 if it cannot load a subject's newest
		// message; that is not an empty result.
		case status == "404" && (req.MultiLast == nil || description == "No Results"):
			msgs = nil
			return true, nil
		case status == "503":
			return true, fmt.Errorf("stream %s does not answer on %s: it has no leader right now, or it does not exist and \"tunebus setup\" creates it",
				stream, r.conn.Server())
		default:
			return true, fmt.Errorf("stream %s answers %s %s", stream, status, description)
		}
	})
	if err != nil {
		return nil, 0, err
	}
	return msgs, left, nil
}

// parseGet parses the reply to the request for one message.
func parseGet(stream string, body []byte) (Message, error) {
	var reply struct {
		Error   *jetstream.APIError `json:"error"`
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
		if reply.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return Message{}, ErrNotFound
		}
		if reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return Message{}, fmt.Errorf("%w: %s", ErrNoStream, stream)
		}
		return Message{}, reply.Error
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
