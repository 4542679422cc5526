package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Service is the state of the durable consumers of a service that works on no
// jobs.
type Service struct {
	// Name is "intake" or "tracker".
	Name string
	// Missing are the consumers that do not exist.
	Missing []string
	// Waiting is how many messages have not been delivered yet.
	Waiting int
	// Unattended reports whether messages wait at a consumer that nobody takes
	// messages from.
	Unattended bool
}

// Services lists the services, intake first.
func (i *Inspector) Services(ctx context.Context) ([]Service, error) {
	type consumer struct{ stream, name string }
	var out []Service
	for _, s := range []struct {
		name      string
		consumers []consumer
	}{
		{"intake", []consumer{
			{events.StreamRequests, ConsumerIntake},
			{events.StreamFacts, ConsumerCancel},
			{events.StreamFacts, ConsumerDeadline},
			{events.StreamDead, ConsumerDeadLetters},
			{events.StreamDead, ConsumerGivenUp},
		}},
		{"tracker", []consumer{{events.StreamFacts, ConsumerTracker}, {events.StreamMetrics, ConsumerMetrics}, {events.StreamFacts, ConsumerPublisher}}},
	} {
		state := Service{Name: s.name}
		for _, c := range s.consumers {
			info, err := i.consumerInfo(ctx, c.stream, c.name)
			switch {
			case errors.Is(err, jetstream.ErrConsumerNotFound):
				state.Missing = append(state.Missing, c.name)
				continue
			case err != nil:
				return nil, fmt.Errorf("look at consumer %s of %s: %w", c.name, c.stream, err)
			}
			state.Waiting += int(info.NumPending)
			state.Unattended = state.Unattended || info.NumPending > 0 && info.NumAckPending == 0 && info.NumWaiting == 0
		}
		out = append(out, state)
	}
	return out, nil
}

func (i *Inspector) consumerInfo(ctx context.Context, stream, name string) (info *jetstream.ConsumerInfo, err error) {
	err = i.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		c, err := js.Consumer(ctx, stream, name)
		if err == nil {
			info = c.CachedInfo()
		}
		return err
	})
	return info, err
}

// MissingBuckets returns the names of the buckets that services need and that do
// not exist.
func (i *Inspector) MissingBuckets(ctx context.Context) ([]string, error) {
	var missing []string
	for _, name := range []string{BucketCheckpoints, BucketLeases} {
		_, err := i.conn.Bucket(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrBucketNotFound):
			missing = append(missing, name)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}
