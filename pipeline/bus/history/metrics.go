package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// MetricReader reads the metric events of all attempts at a phase, in an order
// that is the same for every reader that starts at the first event. A caller
// that lets the earlier of two points of a step count therefore decides as all
// others do; the reader itself returns both.
type MetricReader struct {
	codec   *codec.Codec
	stored  streams.Reader
	run     string
	sources []metricSource
}

// metricSource is one kind of metric event.
type metricSource struct {
	filter string
	next   uint64 // the first sequence that has not been read
}

// Metrics returns a reader that starts at the first event that the stream
// holds.
func (h *History) Metrics(run string, p events.Phase) *MetricReader {
	r := &MetricReader{codec: h.codec, stored: h.stored, run: run}
	for _, filter := range events.MetricFilters(p, run) {
		r.sources = append(r.sources, metricSource{filter: filter, next: 1})
	}
	return r
}

// Progress returns the newest progress that an attempt at a phase published. The
// error is [ErrNotFound] if the stream holds none.
func (h *History) Progress(ctx context.Context, run string, p events.Phase, attempt int) (events.Progress, error) {
	subject := events.Progress{RunID: run, Phase: p, Attempt: attempt}.Subject()
	raw, err := h.stored.Latest(ctx, events.StreamMetrics, subject)
	if err != nil {
		return events.Progress{}, fmt.Errorf("read %s: %w", subject, err)
	}
	d, err := h.codec.Decode(raw.Subject, raw.Header, raw.Data)
	if err != nil {
		return events.Progress{}, fmt.Errorf("read %s: %w", subject, err)
	}
	progress, _ := d.Event.(events.Progress)
	return progress, nil
}

// Attempt is an attempt at a phase of a run.
type Attempt struct {
	Run    string
	Phase  events.Phase
	Number int
}

// ProgressAt is the newest progress of an attempt, and when it was published.
type ProgressAt struct {
	events.Progress
	At time.Time
}

// ProgressOf returns the newest progress of attempts by their runs, of at most 1,024
// of them. One that has published none that the stream still holds is left out.
func ProgressOf(ctx context.Context, c *conn.Conn, attempts []Attempt) (map[string]ProgressAt, error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	filters := make([]string, 0, len(attempts))
	for _, a := range attempts {
		filters = append(filters, events.Progress{RunID: a.Run, Phase: a.Phase, Attempt: a.Number}.Subject())
	}
	msgs, err := streams.New(c).LatestOfEach(ctx, events.StreamMetrics, filters)
	if err != nil {
		return nil, fmt.Errorf("read the progress of runs: %w", err)
	}
	found := make(map[string]ProgressAt, len(msgs))
	for _, m := range msgs {
		if d, err := c.Codec().Decode(m.Subject, m.Header, m.Data); err == nil {
			if p, ok := d.Event.(events.Progress); ok {
				found[p.RunID] = ProgressAt{p, m.Time}
			}
		}
	}
	return found, nil
}

// ReadMetrics calls each for every metric event that the stream holds of a
// phase, see [MetricReader.Read].
func (h *History) ReadMetrics(ctx context.Context, run string, p events.Phase, each func(events.Event)) error {
	return h.Metrics(run, p).Read(ctx, each)
}

// HasRead reports whether a message has been read.
func (r *MetricReader) HasRead(m codec.Message) bool {
	for _, s := range r.sources {
		if strings.HasPrefix(m.Subject, strings.TrimSuffix(s.filter, "*")) {
			return m.Sequence < s.next
		}
	}
	return false
}

// Read calls each for every event that came since the last call: progress
// first, each kind in the stream's order. Events that cannot be decoded are
// left out; old ones may have left the stream.
func (r *MetricReader) Read(ctx context.Context, each func(events.Event)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range r.sources {
		s := &r.sources[i]
		err := r.stored.Scan(ctx, events.StreamMetrics, streams.FromSequence(s.next), s.filter, func(m streams.Message) error {
			d, err := r.codec.Decode(m.Subject, m.Header, m.Data)
			if err == nil {
				each(d.Event)
			} else if !codec.IsUndecodable(err) {
				return err
			}
			s.next = m.Sequence + 1
			return nil
		})
		if err != nil {
			return fmt.Errorf("read metric points of run %s: %w", r.run, err)
		}
	}
	return nil
}
