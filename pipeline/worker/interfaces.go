package worker

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
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
