package topology

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Queue is the state of a queue of jobs.
type Queue struct {
	Phase events.Phase `json:"phase"`
	Name  string       `json:"name"`
	// Waiting jobs have not been delivered to a worker yet.
	Waiting int `json:"waiting"`
	// Held jobs are worked on, or are delivered again after a delay. The server does
	// not tell the two apart.
	Held int `json:"held"`
	// Idle is how many slots of running workers are free.
	Idle int `json:"idle"`
}

// Unattended reports whether jobs wait and no worker is there to take them.
func (q Queue) Unattended() bool { return q.Waiting > 0 && q.Held == 0 && q.Idle == 0 }

// Queues lists the queues that exist, by phase and name.
func (i *Inspector) Queues(ctx context.Context) ([]Queue, error) {
	var out []Queue
	err := i.conn.Request(ctx, conn.ListConsumers, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamFacts)
		if err != nil {
			return err
		}
		consumers := s.ListConsumers(ctx)
		for c := range consumers.Info() {
			p, name, ok := strings.Cut(c.Name, "_")
			if !ok || !events.Phase(p).Valid() {
				continue // a consumer of intake or the tracker
			}
			out = append(out, Queue{
				Phase:   events.Phase(p),
				Name:    name,
				Waiting: int(c.NumPending),
				Held:    c.NumAckPending,
				Idle:    c.NumWaiting,
			})
		}
		return consumers.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	slices.SortFunc(out, func(a, b Queue) int {
		order := func(p events.Phase) int { return slices.Index(events.Phases(), p) }
		return cmp.Or(cmp.Compare(order(a.Phase), order(b.Phase)), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
