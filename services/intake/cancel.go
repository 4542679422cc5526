package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Cancel sees to it that a cancelled run ends: its holder has a moment to
// end it, then intake takes the job over.
func (s *Service) Cancel(ctx context.Context, d bus.Delivery) error {
	ask, ok := d.Event.(events.CancelRequested)
	if !ok {
		return &bus.Dead{Err: fmt.Errorf("%s is no cancel request", d.Subject)}
	}
	run, err := s.run(ctx, ask.RunID)
	if err != nil {
		return err
	}
	age := time.Since(d.Time)
	switch {
	case run.Completed != nil:
		return nil
	case run.Accepted == nil && age > time.Hour:
		return nil // nobody will come: the id was wrong
	case run.Accepted == nil:
		return &bus.Later{Delay: 5 * time.Second, Err: errors.New("the run is not accepted yet")}
	}
	open := openPhase(run)
	if open == nil {
		// Between two phases: whoever completed the last one is about to
		// publish the next job; if he died, his job comes again.
		return &bus.Later{Delay: 200 * time.Millisecond, Err: errors.New("no job is open")}
	}
	if len(run.Phases[open.Phase].Attempts) > 0 && age < s.cfg.Patience {
		return &bus.Later{Delay: s.cfg.Patience - age, Err: errors.New("the holder has a moment to end it")}
	}
	return s.takeOver(ctx, run, *open)
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
		return run, &bus.Later{Delay: 10 * time.Second, Err: err}
	case errors.As(err, &malformed), errors.Is(err, archive.ErrDamaged):
		return run, &bus.Dead{Err: err}
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

// takeOver ends a job as cancelled, with a started fact of intake's own for
// the token. Whoever completes it first is right.
func (s *Service) takeOver(ctx context.Context, run events.Run, job events.PhaseRequested) error {
	now := time.Now().UTC()
	attempt := run.Phases[job.Phase].NextAttempt()
	started := events.PhaseStarted{RunID: job.RunID, Phase: job.Phase, Attempt: attempt, Worker: "intake"}
	done := events.PhaseCompleted{RunID: job.RunID, Phase: job.Phase, Attempt: attempt, Conclusion: events.Cancelled, StartedAt: now, EndedAt: now}
	token, err := s.bus.Publish(ctx, started, bus.IfNone(done.Subject()))
	if err != nil {
		return again(err)
	}
	failpoint.Here(failpoint.CancelTaken)
	if _, err := s.bus.Publish(ctx, done, bus.IfLast(events.StartedFilter(job.Phase, job.RunID), token.Sequence)); err != nil {
		return again(err)
	}
	s.cfg.Logger.Info("run cancelled", "run", job.RunID, "phase", job.Phase)
	return s.bus.Follow(ctx, done, run)
}

// again looks once more after a lost race: the next look finds what the
// winner did.
func again(err error) error {
	var lost *bus.LostError
	if errors.As(err, &lost) {
		return &bus.Later{Delay: 200 * time.Millisecond, Err: err}
	}
	return err
}

// Deadline waits until a run's deadline and asks for its cancellation if it
// has not ended by then.
func (s *Service) Deadline(ctx context.Context, d bus.Delivery) error {
	accepted, ok := d.Event.(events.PipelineAccepted)
	if !ok {
		return &bus.Dead{Err: fmt.Errorf("%s is no accepted run", d.Subject)}
	}
	text := accepted.Specification.Pipeline.Deadline
	if text == "" {
		return nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		return &bus.Dead{Err: fmt.Errorf("deadline of run %s: %w", accepted.RunID, err)}
	}
	if left := time.Until(accepted.RequestedAt.Add(limit)); left > 0 {
		return &bus.Later{Delay: left, Err: errors.New("the deadline is still ahead")}
	}
	run, err := s.run(ctx, accepted.RunID)
	if err != nil || run.Completed != nil {
		return err
	}
	ask := events.CancelRequested{RunID: accepted.RunID, By: "deadline", Reason: "the run did not end within " + text}
	_, err = s.bus.Publish(ctx, ask, bus.Fence{})
	var lost *bus.LostError
	if errors.As(err, &lost) {
		return nil // it is being cancelled already
	}
	return err
}
