package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/worker/cleanup"
)

// executed is an engine's work that has ended, as the finisher needs it.
type executed interface {
	result() engine.Result
	// storeHistory adds the metric history to a result.
	storeHistory(ctx context.Context, res *engine.Result) error
	// closeMetrics publishes the points that wait.
	closeMetrics(ctx context.Context)
	// discard removes what is left on this machine.
	discard()
}

// noExecution stands for an engine that was not asked, or that has not
// returned.
type noExecution struct{}

func (noExecution) result() engine.Result                              { return engine.Result{} }
func (noExecution) storeHistory(context.Context, *engine.Result) error { return nil }
func (noExecution) closeMetrics(context.Context)                       {}
func (noExecution) discard()                                           {}

// finisher ends attempts. What its methods return settles the message: nil acks
// it, and it is acked last, after everything that follows was published.
type finisher struct {
	journal eventPublisher
	history runReader
	cleaner *cleanup.Cleaner
	// grace is that of a shutdown, of which a last checkpoint has a part.
	grace, lastCheckpoint time.Duration
}

// conclude ends an attempt by its classification.
func (f *finisher) conclude(graceCtx context.Context, a *attempt, x executed, c retry.Classification) error {
	defer x.discard()
	switch c.Class {
	case retry.ClassSucceeded:
		return f.complete(graceCtx, a, x, x.result(), events.Success, nil)
	case retry.ClassLost:
		return f.abandon(graceCtx, a)
	case retry.ClassShutdown:
		return f.publishAttemptEnded(graceCtx, a, x, events.EndShutdown, nil)
	case retry.ClassCancelled:
		return f.complete(graceCtx, a, x, saveHistoryBestEffort(graceCtx, a, x), events.Cancelled, nil)
	case retry.ClassRetry:
		if a.state().Tries()+1 < a.policy.Tries {
			return f.publishAttemptEnded(graceCtx, a, x, events.EndError, c.Err)
		}
	}
	return f.complete(graceCtx, a, x, saveHistoryBestEffort(graceCtx, a, x), events.Failure, c.Err)
}

// complete ends the phase. Everything of the result is stored by then, and the
// fact may wait for NATS, which may need the disk that the scratch folder fills.
func (f *finisher) complete(graceCtx context.Context, a *attempt, x executed, res engine.Result, how events.Conclusion, why error) error {
	x.discard()
	return f.publishCompleted(graceCtx, a, res, how, why)
}

// saveHistoryBestEffort returns the result of a phase that did not succeed: its
// metric history, if the store takes it at once.
func saveHistoryBestEffort(graceCtx context.Context, a *attempt, x executed) engine.Result {
	ctx, cancel := context.WithTimeout(graceCtx, historySaveTime)
	defer cancel()
	res := engine.Result{Logs: x.result().Logs}
	if err := x.storeHistory(ctx, &res); err != nil {
		a.log.WarnContext(ctx, "metric history not stored", "error", err)
	}
	return res
}

// publishCompleted ends the phase, publishes what follows, and cleans up.
func (f *finisher) publishCompleted(graceCtx context.Context, a *attempt, res engine.Result, how events.Conclusion, why error) error {
	a.checkpoints.Close()
	fact := a.completed(res, how, why)
	// Our own completed event need not wake us; Publish reports whose event is
	// stored.
	a.wakeups.Ignore(fact.Subject())
	if _, err := f.journal.Publish(graceCtx, fact, a.fence()); err != nil {
		return f.handleRefusal(graceCtx, a, err)
	}
	level := slog.LevelInfo
	if how == events.Failure {
		level = slog.LevelError
	}
	a.log.Log(graceCtx, level, "phase completed", "conclusion", how, "seconds", fact.EndedAt.Sub(fact.StartedAt).Seconds(), "error", why)
	if err := f.journal.PublishNext(graceCtx, fact, a.run); err != nil {
		return err
	}
	// A successful first attempt without a checkpoint leaves nothing to clean up.
	if a.number > 1 || a.checkpoints.Stored() || how != events.Success {
		f.cleaner.Phase(graceCtx, events.Bound(fact).(events.PhaseCompleted)) // as it is stored
	}
	return nil
}

// publishAttemptEnded publishes that the attempt ended without completing the
// phase, and has the job redelivered.
func (f *finisher) publishAttemptEnded(graceCtx context.Context, a *attempt, x executed, reason events.EndReason, why error) error {
	x.closeMetrics(graceCtx)
	x.discard() // the fact may wait for NATS, which may need the disk that the scratch folder fills
	fact := a.ended(reason, why)
	fact.Artifacts = x.result().Logs
	if _, err := f.journal.Publish(graceCtx, fact, a.fence()); err != nil {
		return f.handleRefusal(graceCtx, a, err)
	}
	a.checkpoints.RetryPending(graceCtx)
	a.checkpoints.Close()
	if reason == events.EndShutdown {
		if fact.LostSteps > 0 {
			a.log.WarnContext(graceCtx, fmt.Sprintf("the last checkpoint was not stored in time, and %d of the %d steps are made again", fact.LostSteps, fact.LastStep),
				"error", fmt.Errorf("a checkpoint had %s; a longer services.%s.grace, which is %s, gives it more", f.lastCheckpoint, a.req.Phase, f.grace))
		}
		return &delivery.RetryAfter{Err: errors.New("the worker stops"), Bounded: true}
	}
	try := a.state().Tries() + 1
	delay := a.policy.Delay(try)
	if deadline, ok := a.deadline(); ok {
		delay = min(delay, max(time.Until(deadline), 0)) // the next attempt then reports the timeout
	}
	a.log.WarnContext(graceCtx, "attempt ended; trying again", "try", try, "delay", delay, "error", why)
	return &delivery.RetryAfter{Delay: delay, Err: why, Bounded: true}
}

// completed is the fact that the attempt ended the phase.
func (a *attempt) completed(res engine.Result, how events.Conclusion, why error) events.PhaseCompleted {
	logs, left := a.earlierLogs()
	if left > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("the logs of the last %d attempts that failed are kept; %d of earlier ones are not", len(logs), left))
	}
	return events.PhaseCompleted{
		RunID:            a.req.RunID,
		Phase:            a.req.Phase,
		Attempt:          a.number,
		Conclusion:       how,
		StartedAt:        a.startedAt,
		EndedAt:          time.Now().UTC(),
		Artifacts:        slices.Concat(res.Artifacts, logs, res.Logs),
		Datasets:         res.Datasets,
		Statistics:       res.Statistics,
		Scores:           res.Scores,
		BaselineScores:   res.BaselineScores,
		Coverage:         res.Coverage,
		BaselineCoverage: res.BaselineCoverage,
		Gates:            res.Gates,
		TokensIn:         res.TokensIn,
		TokensOut:        res.TokensOut,
		Used:             res.Used,
		Notes:            redaction.AddressesOfEach(res.Notes),
		Error:            engine.Problem(why),
	}
}

// maxEarlierLogs bounds the logs of earlier attempts, so that those of a job that was
// tried again a hundred times leave room for the phase's other artifacts.
const maxEarlierLogs = 5

// earlierLogs are the artifacts of the last attempts that failed, and how many of
// earlier ones are left out. The fact that completes the phase names them, so that they
// are kept with it.
func (a *attempt) earlierLogs() (logs []events.Artifact, left int) {
	state := a.state()
	if state == nil {
		return nil, 0
	}
	for _, earlier := range state.Attempts {
		if earlier.Ended != nil {
			logs = append(logs, earlier.Ended.Artifacts...)
		}
	}
	left = max(len(logs)-maxEarlierLogs, 0)
	return logs[left:], left
}

// ended is the fact that the attempt ended without completing the phase.
func (a *attempt) ended(reason events.EndReason, why error) events.AttemptEnded {
	last := a.lastStep.Load()
	return events.AttemptEnded{
		RunID:     a.req.RunID,
		Phase:     a.req.Phase,
		Attempt:   a.number,
		Reason:    reason,
		LastStep:  last,
		LostSteps: max(0, last-a.checkpoints.Newest()),
		EndedAt:   time.Now().UTC(),
		Error:     engine.Problem(why),
	}
}

// handleRefusal ends an attempt whose publish failed. A fenced one has lost its
// job; any other error is left to the redelivery.
func (f *finisher) handleRefusal(graceCtx context.Context, a *attempt, err error) error {
	if isFenced(err) || checkpointing.IsSuperseded(err) {
		return f.abandon(graceCtx, a)
	}
	return err
}

// isFenced reports whether the stream refused an event because another attempt
// owns the job, or because the phase is completed.
func isFenced(err error) bool {
	_, ok := errors.AsType[*journal.FencedError](err)
	return ok
}

// abandon ends an attempt that lost its job. If the phase is completed, what
// follows is published and the message acked. Otherwise the new owner must not
// be disturbed: the server gets no reply about the message, and what the attempt
// stored is deleted. The attempt records [events.EndLost], so that it is not
// counted as a crash.
func (f *finisher) abandon(graceCtx context.Context, a *attempt) error {
	a.checkpoints.Close()
	run, err := f.history.RunForJob(graceCtx, a.req)
	if err != nil {
		return fmt.Errorf("%w (%w)", delivery.ErrOwnershipLost, err)
	}
	if p := run.Phases[a.req.Phase]; p != nil && p.Completed != nil {
		return f.finishCompleted(graceCtx, *p.Completed, run)
	}
	a.log.InfoContext(graceCtx, "another worker owns the job; this attempt is abandoned")
	if a.token == 0 { // another worker's attempt has the number, and stores below its prefix
		return delivery.ErrOwnershipLost
	}
	if _, err := f.journal.Publish(graceCtx, a.ended(events.EndLost, nil), journal.Fence{}); err != nil {
		a.log.WarnContext(graceCtx, "the loss of the attempt was not published; it counts as a crash", "error", err)
	}
	f.cleaner.LostAttempt(graceCtx, a.req.RunID, a.req.Phase, a.number)
	return delivery.ErrOwnershipLost
}

// finishCompleted publishes what follows and cleans up, for a phase that is
// completed already.
func (f *finisher) finishCompleted(graceCtx context.Context, fact events.PhaseCompleted, run events.Run) error {
	if err := f.journal.PublishNext(graceCtx, fact, run); err != nil {
		return err
	}
	f.cleaner.Phase(graceCtx, fact)
	return nil
}
