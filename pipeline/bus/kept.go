package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// KeptCheckpoint is what is stored of one job.
type KeptCheckpoint struct {
	Run   string
	Phase events.Phase
	// Time is when it was saved or taken.
	Time time.Time
}

// Checkpoints calls each for the checkpoints of every job, page by page.
func (b *Bus) Checkpoints(ctx context.Context, each func(KeptCheckpoint) error) error {
	prefix := "$KV." + BucketCheckpoints + "."
	return b.scan(ctx, "KV_"+BucketCheckpoints, query{Sequence: 1}, prefix+">", func(e entry) error {
		const removed = "KV-Operation" // and a reason of the server's own
		if e.header.Get(removed) != "" || e.header.Get("Nats-Marker-Reason") != "" {
			return nil
		}
		run, p, _ := strings.Cut(strings.TrimPrefix(e.subject, prefix), ".")
		return each(KeptCheckpoint{Run: run, Phase: events.Phase(p), Time: e.time})
	})
}

// Undecided calls each for every request that intake has not dealt with,
// with the event's own JSON and its run's id, if it names one.
func (b *Bus) Undecided(ctx context.Context, each func(run string, data json.RawMessage) error) error {
	var span Span
	switch c, err := b.js.Consumer(ctx, events.StreamRequests, DurableIntake); {
	case err == nil:
		span.First = c.CachedInfo().AckFloor.Stream + 1
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return fmt.Errorf("look at consumer %s: %w", DurableIntake, err)
	}
	return b.Requests(ctx, span, func(d Delivery, _ error) error {
		req, _ := d.Event.(events.PipelineRequested)
		return each(req.RunID, d.Data)
	})
}
