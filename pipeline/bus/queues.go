package bus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// Queue is how a queue of jobs stands.
type Queue struct {
	Phase events.Phase `json:"phase"`
	Name  string       `json:"name"`
	// Waiting jobs have been given to nobody yet.
	Waiting int `json:"waiting"`
	// Held jobs are worked on, or come again after a while.
	Held int `json:"held"`
	// Idle is how many slots of live workers are free.
	Idle int `json:"idle"`
}

// Unattended reports whether jobs wait for a worker that is not there.
func (q Queue) Unattended() bool { return q.Waiting > 0 && q.Held == 0 && q.Idle == 0 }

// Queues lists the declared queues, by phase and name.
func (b *Bus) Queues(ctx context.Context) ([]Queue, error) {
	s, err := b.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	var out []Queue
	consumers := s.ListConsumers(ctx)
	for c := range consumers.Info() {
		p, name, ok := strings.Cut(c.Name, "_")
		if !ok || !events.Phase(p).Valid() {
			continue // a service's own
		}
		out = append(out, Queue{Phase: events.Phase(p), Name: name, Waiting: int(c.NumPending), Held: c.NumAckPending, Idle: c.NumWaiting})
	}
	if err := consumers.Err(); err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	slices.SortFunc(out, func(a, b Queue) int {
		at := func(p events.Phase) int { return slices.Index(events.Phases(), p) }
		return cmp.Or(cmp.Compare(at(a.Phase), at(b.Phase)), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
