package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// PurgeRun removes a run from the stream of facts, up to the message at
// sequence last, its log and its metric points. They go first, then facts of
// attempts, and facts of the whole run last, so that runlister still lists a run whose removal was
// cut short.
func (h *History) PurgeRun(ctx context.Context, run string, last uint64) error {
	if !events.ValidToken(run) {
		return fmt.Errorf("purge run %q: no run id", run)
	}
	if err := h.purge(ctx, events.StreamLogs, 0, events.LogFilter("", run)); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("purge the log of run %s: %w", run, err)
	}
	var points []string
	for _, p := range events.Phases() {
		points = append(points, events.MetricFilters(p, run)...)
	}
	if err := h.purge(ctx, events.StreamMetrics, 0, points...); err != nil {
		return fmt.Errorf("purge the metric points of run %s: %w", run, err)
	}
	facts := events.RunFilters(run)
	slices.SortFunc(facts, func(a, b string) int { return strings.Count(b, ".") - strings.Count(a, ".") })
	if err := h.purge(ctx, events.StreamFacts, last+1, facts...); err != nil {
		return fmt.Errorf("purge run %s: %w", run, err)
	}
	return nil
}

// PurgeTracking removes that a run was tracked, if the fact is older than the one
// at a sequence: the tracker then tells of the deletion that is stored there.
func (h *History) PurgeTracking(ctx context.Context, run string, before uint64) error {
	return h.purge(ctx, events.StreamFacts, before, events.TrackingCompleted{RunID: run}.Subject())
}

// purge removes the messages that match a filter, one filter after the other;
// all of them, or those below a sequence.
func (h *History) purge(ctx context.Context, stream string, below uint64, filters ...string) error {
	for _, filter := range filters {
		opts := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(filter)}
		if below > 0 {
			opts = append(opts, jetstream.WithPurgeSequence(below))
		}
		err := h.conn.Request(ctx, conn.Purge, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, stream)
			if err != nil {
				return err
			}
			return s.Purge(ctx, opts...)
		})
		if err != nil {
			return fmt.Errorf("purge %s of stream %s: %w", filter, stream, err)
		}
	}
	return nil
}
