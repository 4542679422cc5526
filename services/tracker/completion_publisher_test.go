package tracker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// steps records calls in their order.
type steps struct {
	calls      []string
	flushErr   error
	publishErr error
}

func (s *steps) Flush(context.Context) error {
	s.calls = append(s.calls, "flush")
	return s.flushErr
}

func (s *steps) Publish(_ context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	fact, ok := ev.(events.TrackingCompleted)
	if ok && fence == journal.FenceLatest(events.RunLevelFilter("r"), 7) && slices.Equal(fact.Gaps, []string{"gap"}) {
		s.calls = append(s.calls, "publish "+fact.RunID)
	}
	return codec.Message{}, s.publishErr
}

// newPublisher returns a publisher with one completion, and the delay after
// which it rescheduled the run, 0 for none.
func newPublisher(s *steps) (p *completionPublisher, delay *time.Duration) {
	delay = new(time.Duration)
	p = &completionPublisher{
		journal:     s,
		list:        s,
		reschedule:  func(_ string, due time.Time) { *delay = time.Until(due).Round(time.Second) },
		quietPeriod: time.Minute,
		retry:       time.Hour,
		log:         slog.New(slog.DiscardHandler),
		wake:        make(chan struct{}, 1),
	}
	snapshot := projection.Snapshot{Run: events.Run{ID: "r"}, FencingToken: 7}
	p.enqueue(completion{snapshot: snapshot, written: written{gaps: []string{"gap"}}})
	return p, delay
}

// TestCompletionRound: the list of runs is on disk before a run becomes
// tracked; a run that cannot become tracked is written again.
func TestCompletionRound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flush, publish error
		calls          []string
		delay          time.Duration
	}{
		"published":          {nil, nil, []string{"flush", "publish r"}, 0},
		"by another tracker": {nil, &journal.FencedError{Winner: "id"}, []string{"flush", "publish r"}, 0},
		"a newer fact":       {nil, &journal.FencedError{}, []string{"flush", "publish r"}, time.Minute},
		"a broken stream":    {nil, errors.New("broken"), []string{"flush", "publish r"}, time.Minute},
		"the list is full":   {errors.New("disk full"), nil, []string{"flush"}, time.Hour},
	} {
		s := &steps{flushErr: c.flush, publishErr: c.publish}
		p, delay := newPublisher(s)
		p.round(t.Context())
		if !slices.Equal(s.calls, c.calls) || *delay != c.delay {
			t.Errorf("%s: calls %q, delay %s", name, s.calls, *delay)
		}
		if left := p.takeAll(); len(left) != 0 {
			t.Errorf("%s: %d completions are left", name, len(left))
		}
	}
}

// TestCompletionRun: a completion is published without waiting for the tick,
// and nothing is left running at the end.
func TestCompletionRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &steps{}
	p, _ := newPublisher(s)
	published := make(chan struct{})
	p.journal = publishFunc(func() { close(published) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(ctx)
	}()
	<-published
	cancel()
	<-done
}

type publishFunc func()

func (f publishFunc) Publish(context.Context, events.Event, journal.Fence) (codec.Message, error) {
	f()
	return codec.Message{}, nil
}
