package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// stallPublishTime limits the publishing of the end of a stalled attempt. The
// job goes to another worker without it, too.
const stallPublishTime = 10 * time.Second

// workStage is the stage of the work of a phase.
func workStage(p events.Phase) progress.Stage {
	switch p {
	case events.Inference:
		return progress.Generate
	case events.Evaluation:
		return progress.Score
	default:
		return progress.Train
	}
}

// stallError is the error of a stalled attempt, with the setting of its limit.
func (a *attempt) stallError(s *progress.Stall) error {
	text := fmt.Errorf("the attempt stalled: %w", s)
	if s.Key != "" {
		text = fmt.Errorf("%w (services.%s.stall.%s)", text, a.req.Phase, s.Key)
	}
	return &engine.JobError{Code: events.CodeStalled, Err: text}
}

// letGo ends an attempt that stalled. The server gets no reply about the
// message, since another worker gets it. The slot stays occupied until the
// engine has returned, at the longest until engineCtx ends at a shutdown. What
// the engine returns is dropped.
func (e *executor) letGo(engineCtx, graceCtx context.Context, a *attempt, x *execution, s *progress.Stall) error {
	began := time.Now()
	e.finisher.publishStalled(graceCtx, a, s)
	// Until the engine has returned, it may hold the locks of the attempt.
	if !x.wait(engineCtx, 0) {
		go x.discardWhenDone() // ends with the engine, at the latest with the process
		return delivery.ErrOwnershipLost
	}
	a.log.WarnContext(graceCtx, "the stalled work has returned; its result is dropped, and its slot is free again",
		"stage", s.Stage, "after", time.Since(began), "error", x.err)
	x.discard()
	a.checkpoints.Close()
	e.finisher.cleaner.LostAttempt(graceCtx, a.req.RunID, a.req.Phase, a.number)
	return delivery.ErrOwnershipLost
}

// publishStalled publishes that an attempt ended since it made no progress. If no
// other attempt may follow, it ends the phase: the workers may all be held by this job,
// and then nobody else would. The one who gets the message finds the phase completed.
func (f *finisher) publishStalled(graceCtx context.Context, a *attempt, s *progress.Stall) {
	ctx, cancel := context.WithTimeout(graceCtx, stallPublishTime)
	defer cancel()
	ended := a.ended(events.EndLost, a.stallError(s))
	if _, err := f.journal.Publish(ctx, ended, journal.Fence{}); err != nil {
		a.log.WarnContext(ctx, "the end of the stalled attempt was not published; it counts as a crash", "error", err)
		return
	}
	why := a.policy.UsedUp(a.state().With(events.Attempt{Number: a.number, Ended: &ended}))
	if why == nil {
		return
	}
	// The engine may hold the locks of the attempt, so nothing is stored or removed here.
	fact := a.completed(engine.Result{}, events.Failure, why)
	a.wakeups.Ignore(fact.Subject())
	if _, err := f.journal.Publish(ctx, fact, a.fence()); err != nil {
		a.log.WarnContext(ctx, "the phase of the stalled job was not ended; the next worker ends it", "error", err)
		return
	}
	a.log.ErrorContext(ctx, "phase completed", "conclusion", fact.Conclusion, "error", why)
	if err := f.journal.PublishNext(ctx, fact, a.run); err != nil {
		a.log.WarnContext(ctx, "what follows from the end of the phase was not published; the next worker does it", "error", err)
	}
}

// settleStalled is how a delivery is settled whose job may have stalled after
// its work was over: with no reply, since another worker may own it.
func settleStalled(m *progress.Monitor, err error) error {
	if m.Stall() == nil || errors.Is(err, delivery.ErrOwnershipLost) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", delivery.ErrOwnershipLost, err)
	}
	return delivery.ErrOwnershipLost
}

// waitingJournal is a journal that announces its publishing as a wait without a
// limit. Each request ends by itself, and a full stream must not cost the work.
type waitingJournal struct{ eventPublisher }

// Publish implements [eventPublisher].
func (j waitingJournal) Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	defer progress.Wait(ctx, "NATS to store "+ev.Subject(), 0).End()
	return j.eventPublisher.Publish(ctx, ev, fence)
}

// PublishNext implements [eventPublisher].
func (j waitingJournal) PublishNext(ctx context.Context, stored events.Fact, run events.Run) error {
	defer progress.Wait(ctx, "NATS to store what follows from "+stored.Subject(), 0).End()
	return j.eventPublisher.PublishNext(ctx, stored, run)
}
