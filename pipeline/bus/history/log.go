package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// LogReader reads what the attempts at the phases of a run logged.
type LogReader struct {
	conn        *conn.Conn
	codec       *codec.Codec
	stored      streams.Reader
	run, filter string
	next        uint64
}

// NewLogReader returns a reader of the log of a phase, or of all phases if p is empty.
// It starts at the first lines that the stream holds.
func NewLogReader(c *conn.Conn, run string, p events.Phase) *LogReader {
	return &LogReader{conn: c, codec: c.Codec(), stored: streams.New(c), run: run, filter: events.LogFilter(p, run), next: 1}
}

// Read calls each for the batches of lines that came since the last call, with the
// time at which each was stored. A server without the stream of logs, which an
// earlier version has set up, has none. Batches that cannot be decoded are left out.
func (r *LogReader) Read(ctx context.Context, each func(events.Log, time.Time) error) error {
	err := r.conn.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.Stream(ctx, events.StreamLogs)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil {
		err = r.stored.Scan(ctx, events.StreamLogs, streams.FromSequence(r.next), r.filter, func(m streams.Message) error {
			r.next = m.Sequence + 1
			d, err := r.codec.Decode(m.Subject, m.Header, m.Data)
			if err != nil {
				if codec.IsUndecodable(err) {
					return nil
				}
				return err
			}
			if lines, ok := d.Event.(events.Log); ok {
				return each(lines, m.Time)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read the log of run %s: %w", r.run, err)
	}
	return nil
}
