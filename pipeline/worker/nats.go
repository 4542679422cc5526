package worker

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// journal publishes events.
type journal interface {
	// Publish stores a fact under a fence.
	Publish(ctx context.Context, ev events.Event, fence bus.Fence) (bus.Message, error)
	// PublishNext publishes the event that follows from a stored fact, if any
	// does.
	PublishNext(ctx context.Context, stored events.Fact, run events.Run) error
	// PublishMetric sends a metric event without waiting.
	PublishMetric(ctx context.Context, ev events.Event) error
}

// history reads the events of a run.
type history interface {
	// RunForJob reads the facts of a run that matter to a job.
	RunForJob(ctx context.Context, job events.PhaseRequested) (events.Run, error)
	// ReadMetrics reads the metric events of a phase, see [metrics.Reader].
	ReadMetrics(ctx context.Context, run string, p events.Phase, each func(events.Event)) error
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

// natsStreams is the journal and the history of a connection.
type natsStreams struct{ bus *bus.Bus }

func (n natsStreams) Publish(ctx context.Context, ev events.Event, fence bus.Fence) (bus.Message, error) {
	return n.bus.Publish(ctx, ev, fence)
}

func (n natsStreams) PublishNext(ctx context.Context, stored events.Fact, run events.Run) error {
	return n.bus.Follow(ctx, stored, run)
}

func (n natsStreams) PublishMetric(ctx context.Context, ev events.Event) error {
	return n.bus.Announce(ctx, ev)
}

func (n natsStreams) RunForJob(ctx context.Context, job events.PhaseRequested) (events.Run, error) {
	return n.bus.JobRun(ctx, job)
}

func (n natsStreams) ReadMetrics(ctx context.Context, run string, p events.Phase, each func(events.Event)) error {
	return n.bus.Announced(ctx, run, p, each)
}

// natsCheckpoints is the checkpoint registry of a connection.
type natsCheckpoints struct{ bus *bus.Bus }

func (n natsCheckpoints) Load(ctx context.Context, run string, p events.Phase) (bus.Checkpoint, error) {
	return n.bus.LoadCheckpoint(ctx, run, p)
}

func (n natsCheckpoints) Claim(ctx context.Context, run string, p events.Phase, attempt int) (bus.Checkpoint, error) {
	return n.bus.TakeCheckpoint(ctx, run, p, attempt)
}

func (n natsCheckpoints) Save(
	ctx context.Context, run string, p events.Phase, cp bus.Checkpoint, keep int,
) (bus.Checkpoint, []bus.Checkpoint, error) {
	return n.bus.SaveCheckpoint(ctx, run, p, cp, keep)
}

func (n natsCheckpoints) Delete(ctx context.Context, run string, p events.Phase) error {
	return n.bus.DeleteCheckpoint(ctx, run, p)
}

// natsNotifier subscribes to the wake-ups of a phase. All jobs share one set of
// NATS subscriptions, which is made at the first job.
type natsNotifier struct {
	bus   *bus.Bus
	phase events.Phase
	log   *slog.Logger

	mu    sync.Mutex
	bells *bus.Bells // nil before the first job
}

// subscribe subscribes to the wake-ups of a run.
func (n *natsNotifier) subscribe(run string) subscription {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bells == nil {
		bells, err := n.bus.Bells(string(n.phase)+".started.>", string(n.phase)+".completed.*", events.TypeCancelRequested+".*")
		if err != nil {
			n.log.Warn("no notifications; checking ownership at intervals only", "run", run, "error", err)
			return noSubscription{}
		}
		n.bells = bells
	}
	return natsSubscription{n.bells.Door(run)}
}

// natsSubscription is a subscription of [natsNotifier].
type natsSubscription struct{ door *bus.Door }

func (s natsSubscription) C() <-chan struct{}    { return s.door.Rings }
func (s natsSubscription) Ignore(subject string) { s.door.Ignore(subject) }
func (s natsSubscription) Close()                { s.door.Close() }
