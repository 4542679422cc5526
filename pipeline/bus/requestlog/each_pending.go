package requestlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// EachPending calls each for every request that intake has neither accepted nor rejected, the
// oldest first. runID is the id that the run of a request gets. Requests that cannot be read
// are left out: intake makes dead letters of them.
func (l *Log) EachPending(ctx context.Context, runID func(Request) string, each func(Request) error) error {
	var span Span
	var delivered uint64 // requests up to here may be decided
	err := l.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		c, err := js.Consumer(ctx, events.StreamRequests, topology.ConsumerIntake)
		if err == nil {
			span.First, delivered = c.CachedInfo().AckFloor.Stream+1, c.CachedInfo().Delivered.Stream
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look at consumer %s: %w", topology.ConsumerIntake, err)
	}
	return l.Read(ctx, span, func(r Request, unreadable error) error {
		if unreadable != nil {
			return nil
		}
		if r.Sequence <= delivered {
			if decided, err := l.isDecided(ctx, runID(r), r.Sequence); err != nil || decided {
				return err
			}
		}
		return each(r)
	})
}

// isDecided reports whether a request was accepted or rejected.
func (l *Log) isDecided(ctx context.Context, run string, request uint64) (bool, error) {
	subjects := []string{events.PipelineRejected{RequestSequence: request}.Subject()}
	if events.ValidToken(run) {
		subjects = append(subjects, events.PipelineAccepted{RunID: run}.Subject())
	}
	for _, subject := range subjects {
		_, err := l.stored.Latest(ctx, events.StreamFacts, subject)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, streams.ErrNotFound) {
			return false, fmt.Errorf("read %s: %w", subject, err)
		}
	}
	return false, nil
}
