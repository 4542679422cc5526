package worker

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

// eventPublisher publishes events.
type eventPublisher interface {
	// Publish stores a fact under a fence.
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
	// PublishNext publishes the event that follows from a stored fact, if any
	// does.
	PublishNext(ctx context.Context, stored events.Fact, run events.Run) error
	// PublishMetric sends a metric event without waiting.
	PublishMetric(ctx context.Context, ev events.Event) error
}

// runReader reads the facts of a run that matter to a job.
type runReader interface {
	RunForJob(ctx context.Context, job events.PhaseRequested) (events.Run, error)
}

// subscription wakes a worker when something may have changed about its run. A
// wake-up only makes the worker read the stream: core NATS also delivers
// publishes that the stream refused.
type subscription interface {
	C() <-chan struct{}
	// Ignore ends the wake-ups by a subject, such as one that the worker itself
	// publishes on.
	Ignore(subject string)
	Close()
}

// noSubscription never wakes. The worker then checks its ownership at intervals
// only.
type noSubscription struct{}

func (noSubscription) C() <-chan struct{} { return nil }
func (noSubscription) Ignore(string)      {}
func (noSubscription) Close()             {}

// natsNotifier subscribes to the wake-ups of a phase. All jobs share one set of
// NATS subscriptions, which is made at the first job.
type natsNotifier struct {
	conn  *conn.Conn
	phase events.Phase
	log   *slog.Logger

	mu    sync.Mutex
	inner *wakeup.RunNotifier // nil before the first job
}

// subscribe subscribes to the wake-ups of a run.
func (n *natsNotifier) subscribe(run string) subscription {
	inner, err := n.notifier()
	if err != nil {
		n.log.Warn("no notifications; checking ownership at intervals only", "run", run, "error", err)
		return noSubscription{}
	}
	return natsSubscription{inner.Subscribe(run)}
}

// notifier makes the notifier at the first call.
func (n *natsNotifier) notifier() (*wakeup.RunNotifier, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inner == nil {
		inner, err := wakeup.NewRunNotifier(n.conn,
			string(n.phase)+".started.>", string(n.phase)+".completed.*", events.TypeCancelRequested+".*")
		if err != nil {
			return nil, err
		}
		n.inner = inner
	}
	return n.inner, nil
}

// natsSubscription is a subscription of [natsNotifier].
type natsSubscription struct{ *wakeup.RunSubscription }

func (s natsSubscription) C() <-chan struct{} { return s.RunSubscription.C }
