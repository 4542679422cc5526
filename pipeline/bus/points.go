package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// Announced reads the metric events that the attempts at a phase announced so
// far, the progress first, each kind in the stream's order, and calls each for
// every one. Old ones may have left the stream;
// those that cannot be decoded are left out.
func (b *Bus) Announced(ctx context.Context, run string, p events.Phase, each func(events.Event)) error {
	return b.Announcements(run, p).Read(ctx, each)
}

// Announcements are the metric events that the attempts at a phase announce.
// Whoever reads them from the start decides like everybody else who does,
// which of two points came first.
type Announcements struct {
	bus   *Bus
	run   string
	kinds []kind
}

// kind is one kind of announcement, and up to where it has been read.
type kind struct {
	filter string
	next   uint64
}

// Announcements starts at the first that the stream holds.
func (b *Bus) Announcements(run string, p events.Phase) *Announcements {
	a := &Announcements{bus: b, run: run}
	for _, filter := range events.AnnouncedFilters(p, run) {
		a.kinds = append(a.kinds, kind{filter: filter, next: 1})
	}
	return a
}

// Passed reports whether a message has been read.
func (a *Announcements) Passed(m Message) bool {
	for _, k := range a.kinds {
		if strings.HasPrefix(m.Subject, strings.TrimSuffix(k.filter, "*")) {
			return m.Sequence < k.next
		}
	}
	return false
}

// Read goes on behind what has been read before, as [Bus.Announced] does.
func (a *Announcements) Read(ctx context.Context, each func(events.Event)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range a.kinds {
		k := &a.kinds[i]
		const most = 256 // messages of one answer
		for left := 1; left > 0; {
			var msgs []*nats.Msg
			var err error
			msgs, left, err = a.bus.direct(ctx, events.StreamMetrics, query{Sequence: k.next, Next: k.filter, Batch: most, MaxBytes: maxPointBytes}, most)
			if err != nil {
				return fmt.Errorf("read metric points of run %s: %w", a.run, err)
			}
			if len(msgs) == 0 {
				break
			}
			for _, msg := range msgs {
				m, err := a.bus.directMessage(msg)
				switch {
				case Undecodable(err): // one bad point does not hide the others
				case err != nil:
					return fmt.Errorf("read metric points of run %s: %w", a.run, err)
				default:
					each(m.Event)
				}
				k.next = m.Sequence + 1
			}
		}
	}
	return nil
}
