package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Story is everything that the stream holds of a run.
type Story struct {
	// Facts are in the stream's order.
	Facts []Record
	// Last is the sequence of the newest message; 0 where there is none.
	Last uint64
}

// Record is a fact as the stream holds it.
type Record struct {
	Message
	// Body is the whole CloudEvent, or whatever stands there.
	Body []byte
}

// Run folds the facts that can be read. The error is an [*UnreadableError]
// where some cannot.
func (s Story) Run() (events.Run, error) {
	msgs := make([]Message, 0, len(s.Facts))
	for _, f := range s.Facts {
		msgs = append(msgs, f.Message)
	}
	return Fold(msgs), Unreadable(msgs)
}

// Story reads everything that the stream holds of a run, also what cannot be
// read. It fails rather than answering with a part.
func (b *Bus) Story(ctx context.Context, run string) (Story, error) {
	var s Story
	if !events.ValidToken(run) {
		return s, fmt.Errorf("read run %q: no run id", run)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	msgs, err := b.stored(ctx, events.StoryFilters(run))
	for _, msg := range msgs {
		if err != nil {
			break
		}
		var e entry
		if e, err = directEntry(msg); err != nil {
			break
		}
		s.Last = max(s.Last, e.sequence)
		if events.IsRetry(e.subject) {
			continue // goes with the run, and says nothing new about it
		}
		s.Facts = append(s.Facts, Record{Message: b.fact(e), Body: msg.Data})
	}
	if err != nil {
		return Story{}, fmt.Errorf("read run %s: %w", run, err)
	}
	slices.SortFunc(s.Facts, func(a, b Record) int { return int(a.Sequence) - int(b.Sequence) })
	return s, nil
}

// ReadFact reads a fact that was stored on a subject, and its id.
func ReadFact(subject string, body []byte) Message {
	d, err := decode(&events.Decoder{Defaults: spec.Defaults()}, subject, nats.Header{headerContent: {structured}}, body)
	return asFact(Message{Event: d.event, ID: d.id, Subject: subject, Stream: events.StreamFacts}, err)
}

// Stories lists every run of which the stream holds a fact on a subject of
// three parts, sorted. Unlike [Bus.RunIDs] it finds what is left of a run
// that was taken away in part.
func (b *Bus) Stories(ctx context.Context) ([]string, error) {
	s, err := b.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("*.*.*"))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	ids := map[string]bool{}
	for subject := range info.State.Subjects {
		// A rejected request made no run.
		if a, err := events.ParseSubject(subject); err == nil && a.Type != events.TypePipelineRejected {
			ids[a.Run] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// Forget removes a run from the stream of facts, up to the message at
// sequence last, and its metric points. What tells of attempts goes first and
// what tells of the run as a whole last, so that a removal that was cut short
// is seen by [Bus.Stories].
func (b *Bus) Forget(ctx context.Context, run string, last uint64) error {
	if !events.ValidToken(run) {
		return fmt.Errorf("forget run %q: no run id", run)
	}
	whole := events.StoryFilters(run)
	slices.SortFunc(whole, func(a, b string) int { return strings.Count(b, ".") - strings.Count(a, ".") })
	if err := b.purge(ctx, events.StreamFacts, last+1, whole...); err != nil {
		return fmt.Errorf("forget run %s: %w", run, err)
	}
	var points []string
	for _, p := range events.Phases() {
		points = append(points, events.AnnouncedFilters(p, run)...)
	}
	if err := b.purge(ctx, events.StreamMetrics, 0, points...); err != nil {
		return fmt.Errorf("forget the metric points of run %s: %w", run, err)
	}
	return nil
}

// purge removes the messages that match a filter, one filter after the other;
// all of them, or those below a sequence.
func (b *Bus) purge(ctx context.Context, stream string, below uint64, filters ...string) error {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream, err)
	}
	for _, filter := range filters {
		opts := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(filter)}
		if below > 0 {
			opts = append(opts, jetstream.WithPurgeSequence(below))
		}
		if err := s.Purge(ctx, opts...); err != nil {
			return fmt.Errorf("purge %s of stream %s: %w", filter, stream, err)
		}
	}
	return nil
}
