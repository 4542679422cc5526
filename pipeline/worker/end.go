package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// complete ends the phase, publishes what follows, and returns nil so that
// the job is acknowledged last.
func (w *Worker) complete(ctx context.Context, c *claim, res Result, how events.Conclusion, why error) error {
	c.late.settle()
	fact := events.PhaseCompleted{
		RunID: c.req.RunID, Phase: c.req.Phase, Attempt: c.attempt, Conclusion: how,
		StartedAt: c.started, EndedAt: time.Now().UTC(),
		Artifacts: res.Artifacts, Datasets: res.Datasets, Statistics: res.Statistics, Scores: res.Scores, BaselineScores: res.BaselineScores,
		Gates: res.Gates, TokensIn: res.TokensIn, TokensOut: res.TokensOut, Notes: res.Notes,
	}
	if why != nil {
		fact.Error = problem(why)
	}
	if c.door != nil { // whose word stands there is told by the stream's answer
		c.door.Ignore(fact.Subject())
	}
	if _, err := journal.New(w.bus).Publish(ctx, fact, w.fence(c)); err != nil {
		return w.refused(ctx, c, err)
	}
	level := slog.LevelInfo
	if how == events.Failure {
		level = slog.LevelError
	}
	w.log(ctx, level, c, "phase completed", "conclusion", how, "seconds", fact.EndedAt.Sub(fact.StartedAt).Seconds(), "error", why)
	if err := journal.New(w.bus).PublishNext(ctx, fact, c.run); err != nil {
		return err
	}
	// A first attempt that saved no checkpoint has left nothing else behind.
	if c.attempt > 1 || c.saved.Load() || how != events.Success {
		w.tidy(ctx, fact)
	}
	return nil
}

// ended publishes that the attempt ended without completing the phase, and
// gives the job back.
func (w *Worker) ended(ctx context.Context, c *claim, o *outcome, reason events.EndReason, why error) error {
	if o != nil {
		o.job.finish(ctx)
	}
	fact := events.AttemptEnded{
		RunID: c.req.RunID, Phase: c.req.Phase, Attempt: c.attempt, Reason: reason, LastStep: c.step.Load(), EndedAt: time.Now().UTC(),
	}
	if why != nil {
		fact.Error = problem(why)
	}
	if _, err := journal.New(w.bus).Publish(ctx, fact, w.fence(c)); err != nil {
		return w.refused(ctx, c, err)
	}
	w.pointLate(ctx, c)
	c.late.settle()
	if reason == events.EndShutdown {
		return &delivery.RetryAfter{Err: errors.New("the worker stops")}
	}
	try := c.run.Phases[c.req.Phase].Tries() + 1
	delay := c.policy.delay(try)
	if until, ok := c.until(); ok {
		delay = min(delay, max(time.Until(until), 0)) // whoever takes it then says that the time is over
	}
	w.log(ctx, slog.LevelWarn, c, "attempt ended; trying again", "try", try, "delay", delay, "error", why)
	return &delivery.RetryAfter{Delay: delay, Err: why}
}

func (w *Worker) fence(c *claim) journal.Fence {
	return journal.FenceLatest(events.StartedFilter(c.req.Phase, c.req.RunID), c.token)
}

// refused reads what a refused publish means.
func (w *Worker) refused(ctx context.Context, c *claim, err error) error {
	var lost *journal.FencedError
	if !errors.As(err, &lost) {
		return err
	}
	return w.letGo(ctx, c)
}

// letGo is the end of an attempt that lost its job. If the phase is completed,
// what follows is published and the job acknowledged, else its new owner must
// not be disturbed: the server is told nothing of the job, and what the
// attempt stored is dropped. That it was lost is a fact of the attempt's own,
// so that it does not count as one that was killed.
func (w *Worker) letGo(ctx context.Context, c *claim) error {
	c.late.settle()
	run, err := history.New(w.bus).RunForJob(ctx, c.req)
	if err != nil {
		return fmt.Errorf("%w (%w)", delivery.ErrOwnershipLost, err)
	}
	if p := run.Phases[c.req.Phase]; p != nil && p.Completed != nil {
		return w.over(ctx, *p.Completed, run)
	}
	w.log(ctx, slog.LevelInfo, c, "another worker holds the job; letting go")
	if c.token == 0 { // the attempt of that number is somebody else's
		return delivery.ErrOwnershipLost
	}
	fact := events.AttemptEnded{RunID: c.req.RunID, Phase: c.req.Phase, Attempt: c.attempt, Reason: events.EndLost, LastStep: c.step.Load(), EndedAt: time.Now().UTC()}
	if _, err := journal.New(w.bus).Publish(ctx, fact, journal.Fence{}); err != nil {
		w.log(ctx, slog.LevelWarn, c, "nobody knows that the attempt was lost; it counts as a crash", "error", err)
	}
	w.dropAttempt(ctx, c)
	return delivery.ErrOwnershipLost
}

// over is what is left to do for the job of a phase that is completed.
func (w *Worker) over(ctx context.Context, fact events.PhaseCompleted, run events.Run) error {
	if err := journal.New(w.bus).PublishNext(ctx, fact, run); err != nil {
		return err
	}
	w.tidy(ctx, fact)
	return nil
}
