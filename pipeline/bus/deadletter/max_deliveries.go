package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// MaxDeliveriesRoute is the route that turns the server's advisory about the
// last delivery of a message into a dead letter with the message's body. A
// running consumer stores the letter itself; the route is for one that died, or
// hung, before it settled the message.
func (q *Queue) MaxDeliveriesRoute() delivery.Route {
	return delivery.Route{
		Name:     "dead letters",
		Stream:   events.StreamDead,
		Consumer: topology.ConsumerDeadLetters,
		Handle:   q.handleAdvisory,
		Raw:      true,
	}
}

// advisory is the part of an advisory that is read. Source: the type
// io.nats.jetstream.advisory.v1.max_deliver.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	Sequence   uint64 `json:"stream_seq"`
	Deliveries int    `json:"deliveries"`
}

func (q *Queue) handleAdvisory(ctx context.Context, d delivery.Delivery) error {
	var a advisory
	if err := json.Unmarshal(d.Data, &a); err != nil || a.Stream == "" || a.Consumer == "" {
		q.log.Warn("advisory not understood", "sequence", d.Sequence, "error", err)
		return nil
	}
	m, err := q.stored.Get(ctx, a.Stream, a.Sequence)
	if errors.Is(err, streams.ErrNotFound) {
		return nil // the run was archived meanwhile
	}
	if err != nil {
		return fmt.Errorf("read message %d of %s: %w", a.Sequence, a.Stream, err)
	}
	if !isJobOf(m, a.Consumer) {
		if accepts, err := q.acceptsRedrive(ctx, a.Stream, a.Consumer); err != nil || !accepts {
			return err // the consumer is not one of tunebus
		}
	}
	return q.Store(ctx, m, a.Consumer, fmt.Sprintf("delivered %d times, and never answered", a.Deliveries))
}

// isJobOf reports whether a message is a job of the queue that a consumer
// serves, by their names: the queue may have been removed since, or an earlier
// version may have set up its consumer without redrive. The run waits for its
// job all the same.
func isJobOf(m streams.Message, consumer string) bool {
	about, err := events.ParseSubject(m.OriginalSubject())
	p, event, _ := strings.Cut(about.Type, ".")
	return err == nil && m.Stream == events.StreamFacts && event == events.EventRequested &&
		consumer == topology.JobConsumer(events.Phase(p), about.Detail)
}
