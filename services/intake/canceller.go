package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// canceller handles pipeline.cancel_requested: it makes sure that a cancelled
// run ends. The worker of the job may end it first; after the grace period, or
// at once if the job has no worker, the canceller ends it.
type canceller struct {
	runs      runReader
	publisher publisher
	grace     time.Duration
	log       *slog.Logger
}

func (c *canceller) handle(ctx context.Context, d delivery.Delivery) error {
	cancel, ok := d.Event.(events.CancelRequested)
	if !ok {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no cancel request", d.Subject)}
	}
	age := max(time.Since(d.Time), 0) // the clock of the server may be ahead
	run, err := c.runs.read(ctx, cancel.RunID)
	if err != nil {
		return err
	}
	switch {
	case run.Completed != nil, run.Deleted != nil:
		return nil
	case run.Accepted == nil:
		return retryUnaccepted(age)
	}
	job := openJob(run)
	if job == nil {
		// The process that stored the newest fact may have died before it
		// published the next event.
		if err := c.publisher.PublishNext(ctx, newestFact(run), run); err != nil {
			return err
		}
		return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, time.Millisecond), Err: errors.New("no job was open")}
	}
	if run.Phases[job.Phase].Claimed() && d.Delivered <= 1 && age < c.grace {
		return &delivery.RetryAfter{Delay: c.grace - age, Err: errors.New("the worker has time to end the job itself"), Bounded: true}
	}
	return c.endJob(ctx, run, *job)
}

// retryUnaccepted returns the outcome for a run that does not exist. Its request
// may not be handled yet, so the cancel request is retried for an hour. After
// that the run id was wrong.
func retryUnaccepted(age time.Duration) error {
	delay := time.Second
	switch {
	case age > time.Hour:
		return nil
	case age > time.Minute:
		delay = 5 * time.Second
	}
	return &delivery.RetryAfter{Delay: delay, Err: errors.New("the run is not accepted yet"), Bounded: true}
}

// openJob returns the job that is requested and not completed, or nil.
func openJob(run events.Run) *events.PhaseRequested {
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Requested != nil && p.Completed == nil {
			return p.Requested
		}
	}
	return nil
}

// newestFact returns the fact that the next job, or the end of the run, follows
// from.
func newestFact(run events.Run) events.Fact {
	var newest events.Fact = *run.Accepted
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Completed != nil {
			newest = *p.Completed
		}
	}
	return newest
}

// endJob completes a job as cancelled. If the worker completes it before, the
// worker's result remains.
func (c *canceller) endJob(ctx context.Context, run events.Run, job events.PhaseRequested) error {
	state, now := run.Phases[job.Phase], time.Now().UTC()
	began := state.Began()
	if began.IsZero() {
		began = now
	}
	completed := events.PhaseCompleted{
		RunID:      job.RunID,
		Phase:      job.Phase,
		Attempt:    state.NextAttempt(),
		Conclusion: events.Cancelled,
		StartedAt:  began,
		EndedAt:    now,
	}
	if err := takeOver(ctx, c.publisher, completed); err != nil {
		return retryIfFenced(err)
	}
	c.log.Info("run cancelled", "run", job.RunID, "phase", job.Phase)
	return c.publisher.PublishNext(ctx, completed, run)
}

// retryIfFenced retries the cancel request soon if another process was faster.
// The next delivery then finds what that process has published.
func retryIfFenced(err error) error {
	if _, lost := errors.AsType[*journal.FencedError](err); lost {
		return &delivery.RetryAfter{Delay: 200 * time.Millisecond, Err: err}
	}
	return err
}
