package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// fence is the condition under which the attempt may publish: it still is the
// newest one.
func (a *attempt) fence() journal.Fence {
	return journal.FenceAttempt(a.req.Phase, a.req.RunID, a.number)
}

// phaseStart is when the phase's first attempt started.
func (a *attempt) phaseStart() time.Time {
	if t := a.state().Began(); !t.IsZero() {
		return t
	}
	return a.startedAt
}

// deadline is when the phase's timeout passes; ok is false if it has none.
func (a *attempt) deadline() (_ time.Time, ok bool) {
	return a.phaseStart().Add(a.policy.Timeout), a.policy.Timeout > 0
}

// timeoutError is the error of a phase that is not done in time.
func (a *attempt) timeoutError() *engine.JobError {
	text := fmt.Sprintf("the phase did not end within %s.timeout = %s of the start of its first attempt, %s",
		spec.Section(a.req.Phase), a.policy.Timeout, a.phaseStart().Format(time.RFC3339))
	if last := retry.LastError(a.state()); last != nil {
		text += "; the last error: " + last.Error()
	}
	return &engine.JobError{Code: "timeout", Permanent: true, Err: errors.New(text)}
}

// decided returns how the claimed job ends if it needs no work.
func (a *attempt) decided() (retry.Classification, bool) {
	if err := a.policy.UsedUp(a.state()); err != nil {
		return retry.Classification{Class: retry.ClassPermanent, Err: err}, true
	}
	if a.run.Cancel != nil {
		return retry.Classification{Class: retry.ClassCancelled}, true
	}
	if deadline, ok := a.deadline(); ok && !a.startedAt.Before(deadline) {
		return retry.Classification{Class: retry.ClassPermanent, Err: a.timeoutError()}, true
	}
	return retry.Classification{}, false
}

// claimer makes attempts the owners of their jobs.
type claimer struct {
	journal  eventPublisher
	registry checkpointing.Registry
	worker   string // its name in started facts
	engine   string // the engine's name there
	sweep    func() // removes what killed processes left on this machine
}

// claim makes an attempt the owner of its job and of the checkpoint to resume
// from. If the job needs no work, claim leaves the checkpoint alone, and returns
// how the job ends and true. The error is a fenced one if another attempt of the
// same number started, or if the phase is completed.
func (c *claimer) claim(ctx context.Context, a *attempt) (retry.Classification, bool, error) {
	if err := c.publishStarted(ctx, a); err != nil {
		return retry.Classification{}, false, err
	}
	if end, ok := a.decided(); ok {
		return end, true, nil
	}
	return retry.Classification{}, false, c.claimCheckpoint(ctx, a)
}

// publishStarted publishes the attempt's started fact and takes its sequence as
// the fencing token.
func (c *claimer) publishStarted(ctx context.Context, a *attempt) error {
	if a.number > 1 { // the first attempt has no predecessor: no checkpoint, nothing to clean up
		c.sweep()
		latest, err := checkpointing.Latest(ctx, c.registry, a.req.RunID, a.req.Phase)
		if err != nil {
			return err
		}
		a.resumeFrom, a.publishedStep = latest, latest.Step
	}
	fact := events.PhaseStarted{
		RunID:       a.req.RunID,
		Phase:       a.req.Phase,
		Attempt:     a.number,
		Worker:      c.worker,
		Engine:      c.engine,
		ResumedFrom: a.publishedStep,
		StartedAt:   a.startedAt,
	}
	a.wakeups.Ignore(fact.Subject())
	stored, err := c.journal.Publish(ctx, fact, journal.FenceAbsent(events.CompletedSubject(a.req.Phase, a.req.RunID)))
	if err != nil {
		return err
	}
	a.token = stored.Sequence
	a.log.InfoContext(ctx, "attempt started", "token", a.token, "resumed_from", a.publishedStep)
	return nil
}

// claimCheckpoint makes the newest checkpoint the attempt's own, so that an
// earlier attempt cannot replace it while this one resumes from it.
func (c *claimer) claimCheckpoint(ctx context.Context, a *attempt) error {
	if a.number == 1 {
		return nil
	}
	cp, err := checkpointing.NewLoader(a.checkpointJob(), c.registry).Claim(ctx, a.resumeFrom)
	if err == nil {
		a.resumeFrom = cp
	}
	return err
}
