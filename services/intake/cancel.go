package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Cancel sees to it that a cancelled run ends, wherever it is and whoever
// lives: the holder of a job has a moment to end it, then intake takes the job
// over. A job that nobody holds has no holder to wait for.
func (s *Service) Cancel(ctx context.Context, d delivery.Delivery) error {
	ask, ok := d.Event.(events.CancelRequested)
	if !ok {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no cancel request", d.Subject)}
	}
	age := max(time.Since(d.Time), 0) // the server's clock may be ahead
	run, err := s.run(ctx, ask.RunID)
	if err != nil {
		return err
	}
	switch {
	case run.Completed != nil:
		return nil
	case run.Accepted == nil:
		return unaccepted(age)
	}
	open := openPhase(run)
	if open == nil {
		// Whoever stored the newest fact may not live to publish what follows.
		if err := journal.New(s.bus).PublishNext(ctx, newest(run), run); err != nil {
			return err
		}
		return &delivery.RetryAfter{Delay: time.Millisecond, Err: errors.New("no job was open")}
	}
	if run.Phases[open.Phase].Held() && d.Delivered <= 1 && age < s.cfg.Patience {
		return &delivery.RetryAfter{Delay: s.cfg.Patience - age, Err: errors.New("the holder has a moment to end it")}
	}
	return s.takeOver(ctx, run, *open)
}

// unaccepted is the answer to the cancel of a run that nobody knows yet: its
// request may still be on its way. After an hour the id was wrong.
func unaccepted(age time.Duration) error {
	delay := time.Second
	switch {
	case age > time.Hour:
		return nil
	case age > time.Minute:
		delay = 5 * time.Second
	}
	return &delivery.RetryAfter{Delay: delay, Err: errors.New("the run is not accepted yet")}
}

// run reads a run. One with a fact of a newer version waits for a newer
// intake; one that is malformed or damaged waits for a person.
func (s *Service) run(ctx context.Context, id string) (events.Run, error) {
	run, err := s.cfg.Runs.Run(ctx, id)
	var unknown *events.UnknownVersionError
	var malformed *events.MalformedError
	switch {
	case errors.As(err, &unknown):
		s.cfg.Logger.Warn("given back: a newer intake may know the run", "run", id, "error", err)
		return run, &delivery.RetryAfter{Delay: 10 * time.Second, Err: err}
	case errors.As(err, &malformed), errors.Is(err, archive.ErrDamaged):
		return run, &delivery.DeadLetterError{Err: err}
	}
	return run, err
}

// openPhase is the job that is requested and not completed.
func openPhase(run events.Run) *events.PhaseRequested {
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Requested != nil && p.Completed == nil {
			return p.Requested
		}
	}
	return nil
}

// newest is the fact that the next job, or the run's end, follows from.
func newest(run events.Run) events.Fact {
	var last events.Fact = *run.Accepted
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Completed != nil {
			last = *p.Completed
		}
	}
	return last
}

// takeOver ends a job as cancelled, with a started fact of intake's own for
// the token. Whoever completes it first is right.
func (s *Service) takeOver(ctx context.Context, run events.Run, job events.PhaseRequested) error {
	state, now := run.Phases[job.Phase], time.Now().UTC()
	began := state.Began()
	if began.IsZero() {
		began = now
	}
	attempt := state.NextAttempt()
	started := events.PhaseStarted{RunID: job.RunID, Phase: job.Phase, Attempt: attempt, Worker: "intake", StartedAt: now}
	done := events.PhaseCompleted{RunID: job.RunID, Phase: job.Phase, Attempt: attempt, Conclusion: events.Cancelled, StartedAt: began, EndedAt: now}
	token, err := journal.New(s.bus).Publish(ctx, started, journal.FenceAbsent(done.Subject()))
	if err != nil {
		return again(err)
	}
	failpoint.Here(failpoint.CancelTaken)
	if _, err := journal.New(s.bus).Publish(ctx, done, journal.FenceLatest(events.StartedFilter(job.Phase, job.RunID), token.Sequence)); err != nil {
		return again(err)
	}
	s.cfg.Logger.Info("run cancelled", "run", job.RunID, "phase", job.Phase)
	return journal.New(s.bus).PublishNext(ctx, done, run)
}

// again looks once more after a lost race: the next look finds what the
// winner did.
func again(err error) error {
	var lost *journal.FencedError
	if errors.As(err, &lost) {
		return &delivery.RetryAfter{Delay: 200 * time.Millisecond, Err: err}
	}
	return err
}
