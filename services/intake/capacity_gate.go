package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// maxRecheck is the longest delay between two measurements for one request.
const maxRecheck = 2 * time.Minute

// usageMaxAge is the time for which a measured usage is used again.
const usageMaxAge = time.Second

// streamUsage measures how full a stream is, from 0 to 1.
type streamUsage interface {
	StreamUsage(ctx context.Context, stream string) (float64, error)
}

// capacityGate stops the admission of runs while the stream of facts is nearly
// full, so that running work has the capacity to finish.
type capacityGate struct {
	streams streamUsage
	fullAt  float64
	recheck time.Duration
	log     *slog.Logger

	mu       sync.Mutex
	measured time.Time
	usage    float64
}

// waitForCapacity returns nil if a run may be admitted. Otherwise it returns a
// [delivery.RetryAfter], so that the request is delivered again.
func (g *capacityGate) waitForCapacity(ctx context.Context, delivered int) error {
	usage, err := g.currentUsage(ctx)
	if err != nil {
		return err
	}
	if usage < g.fullAt {
		return nil
	}
	g.log.Error("no new runs: the stream of facts is nearly full; archive ended runs or raise its limit", "fill", usage)
	return &delivery.RetryAfter{Delay: min(delivery.RedeliveryDelay(delivered, g.recheck), maxRecheck), Err: fmt.Errorf("stream %s is %.0f %% full", events.StreamFacts, 100*usage)}
}

// currentUsage measures outside of the lock: a server that does not answer to
// one request must not hold the others.
func (g *capacityGate) currentUsage(ctx context.Context) (float64, error) {
	if usage, ok := g.lastUsage(); ok {
		return usage, nil
	}
	usage, err := g.streams.StreamUsage(ctx, events.StreamFacts)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.measured, g.usage = time.Now(), usage
	return usage, nil
}

// lastUsage is the usage that was measured a moment ago.
func (g *capacityGate) lastUsage() (usage float64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.usage, time.Since(g.measured) < usageMaxAge
}
