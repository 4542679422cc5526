package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Follow publishes what follows from a stored fact, if anything does. That
// somebody else did so before is as good.
func (b *Bus) Follow(ctx context.Context, stored events.Fact, run events.Run) error {
	failpoint.Here(failpoint.Follow)
	next, err := events.Next(stored, run)
	if err != nil {
		return err
	}
	if next == nil {
		return nil
	}
	var lost *LostError
	if _, err := b.Publish(ctx, next, Fence{}); err != nil && !errors.As(err, &lost) {
		return fmt.Errorf("follow %s: %w", stored.Subject(), err)
	}
	return nil
}
