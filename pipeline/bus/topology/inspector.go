package topology

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Inspector reads the state of streams and consumers. It is safe for
// concurrent use.
type Inspector struct {
	conn *conn.Conn

	mu   sync.Mutex
	seen map[string]time.Time // when a consumer was last seen
}

// NewInspector returns an inspector on a connection.
func NewInspector(c *conn.Conn) *Inspector {
	return &Inspector{conn: c, seen: map[string]time.Time{}}
}

// HasQueue reports whether the consumer of a phase and queue exists. A queue
// that existed within the last minute counts as existing.
func (i *Inspector) HasQueue(ctx context.Context, p events.Phase, queue string) (bool, error) {
	name := JobConsumer(p, queue)
	i.mu.Lock()
	seen, ok := i.seen[name]
	i.mu.Unlock()
	if ok && time.Since(seen) < time.Minute {
		return true, nil
	}
	err := i.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.Consumer(ctx, events.StreamFacts, name)
		return err
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up queue %s of %s: %w", queue, p, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen[name] = time.Now()
	return true, nil
}

// StreamState is the state of a stream.
type StreamState struct {
	// Usage is how full the stream is, from 0 to 1; 0 for one without a bound.
	Usage float64
	// Copies is on how many servers the stream lies.
	Copies int
	// Clustered is set if the server belongs to a cluster.
	Clustered bool
}

// Stream looks at a stream.
func (i *Inspector) Stream(ctx context.Context, stream string) (state StreamState, err error) {
	err = i.conn.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		info := s.CachedInfo()
		state = StreamState{Copies: info.Config.Replicas, Clustered: info.Cluster != nil && info.Cluster.Name != ""}
		if info.Config.MaxBytes > 0 {
			state.Usage = float64(info.State.Bytes) / float64(info.Config.MaxBytes)
		}
		return nil
	})
	if err != nil {
		return StreamState{}, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	return state, nil
}

// StreamUsage is how full a stream is, from 0 to 1; 0 for a stream without a
// bound.
func (i *Inspector) StreamUsage(ctx context.Context, stream string) (float64, error) {
	state, err := i.Stream(ctx, stream)
	return state.Usage, err
}
