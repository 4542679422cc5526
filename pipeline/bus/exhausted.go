package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Exhausted is the route that turns the server's word that it delivered a
// message for the last time into a dead letter with the message's body. A
// consumer that lives stores the letter itself; this is for one that died, or
// hung, with the message in its hands.
func (b *Bus) Exhausted() Route {
	return Route{Name: "dead letters", Stream: events.StreamDead, Durable: DurableLetters, Handle: b.exhausted, raw: true}
}

// exhausted reads one advisory of the server. Source: the type
// io.nats.jetstream.advisory.v1.max_deliver.
func (b *Bus) exhausted(ctx context.Context, d Delivery) error {
	var said struct {
		Stream     string `json:"stream"`
		Consumer   string `json:"consumer"`
		Sequence   uint64 `json:"stream_seq"`
		Deliveries int    `json:"deliveries"`
	}
	if err := json.Unmarshal(d.Data, &said); err != nil || said.Stream == "" || said.Consumer == "" {
		b.log.Warn("advisory not understood", "sequence", d.Sequence, "error", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	m, err := b.fetch(ctx, said.Stream, query{Sequence: said.Sequence})
	if errors.Is(err, ErrNothing) {
		return nil // the run was archived meanwhile
	}
	if err != nil {
		return fmt.Errorf("read message %d of %s: %w", said.Sequence, said.Stream, err)
	}
	if !isJobOf(m, said.Consumer) {
		if ours, err := b.handsBack(ctx, said.Stream, said.Consumer); err != nil || !ours {
			return err // what somebody else's consumer gave up is nobody's work
		}
	}
	return b.bury(ctx, m, said.Consumer, fmt.Sprintf("delivered %d times, and never answered", said.Deliveries))
}

// isJobOf reports whether a message is a job of the queue that a consumer
// serves, by their names: the queue may have been removed since, or have been
// set up by a version whose consumers took nothing back. The run waits for its
// job all the same.
func isJobOf(m entry, consumer string) bool {
	about, err := events.ParseSubject(m.meant())
	p, event, _ := strings.Cut(about.Type, ".")
	return err == nil && m.stream == events.StreamFacts && event == events.EventRequested && consumer == JobDurable(events.Phase(p), about.Detail)
}

// handsBack reports whether a consumer takes what is handed back: a durable
// of the stream of facts that was set up here, or the one of the requests.
func (b *Bus) handsBack(ctx context.Context, stream, consumer string) (bool, error) {
	if stream == events.StreamRequests {
		return consumer == DurableIntake, nil
	}
	c, err := b.js.Consumer(ctx, stream, consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at consumer %s of %s: %w", consumer, stream, err)
	}
	return slices.Contains(c.CachedInfo().Config.FilterSubjects, events.RetryFilter(consumer)), nil
}
