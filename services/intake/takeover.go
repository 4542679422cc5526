package intake

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// takeOver completes a phase in the place of its worker. It first publishes a
// started event of its own, whose sequence is the fencing token: from then on
// the worker cannot complete the phase. If the worker completes it before, the
// error is a [*journal.FencedError] and the worker's result remains.
func takeOver(ctx context.Context, publisher publisher, completed events.PhaseCompleted) error {
	started := events.PhaseStarted{
		RunID:     completed.RunID,
		Phase:     completed.Phase,
		Attempt:   completed.Attempt,
		Worker:    events.IntakeWorker,
		StartedAt: completed.EndedAt,
	}
	if _, err := publisher.Publish(ctx, started, journal.FenceAbsent(completed.Subject())); err != nil {
		return err
	}
	failpoint.Here(failpoint.CancelClaimed)
	_, err := publisher.Publish(ctx, completed, journal.FenceAttempt(completed.Phase, completed.RunID, completed.Attempt))
	return err
}
