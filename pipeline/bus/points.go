package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// Announced reads the metric events that the attempts at a phase announced so
// far, the progress first, each kind in the stream's order, and calls each for
// every one. Old ones may have left the stream;
// those that cannot be decoded are left out.
func (b *Bus) Announced(ctx context.Context, run string, p events.Phase, each func(events.Event)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, filter := range events.AnnouncedFilters(p, run) {
		const most = 256 // messages of one answer
		for next, left := uint64(1), 1; left > 0; {
			var msgs []*nats.Msg
			var err error
			msgs, left, err = b.direct(ctx, events.StreamMetrics, map[string]any{"seq": next, "next_by_subj": filter, "batch": most, "max_bytes": maxPointBytes}, most)
			if err != nil {
				return fmt.Errorf("read metric points of run %s: %w", run, err)
			}
			if len(msgs) == 0 {
				break
			}
			for _, msg := range msgs {
				m, err := b.directMessage(msg)
				switch {
				case Undecodable(err): // one bad point does not hide the others
				case err != nil:
					return fmt.Errorf("read metric points of run %s: %w", run, err)
				default:
					each(m.Event)
				}
				next = m.Sequence + 1
			}
		}
	}
	return nil
}
