package intake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// TestLeftAlone: a request that this process leaves to a later one is neither accepted nor
// rejected, and given back without a limit of tries; others go on.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{Hold: func(_ context.Context, request uint64) bool { return request == 1 }}, topology.Topology{})
	f.request(t, events.PipelineRequested{RunID: "earlier"})
	f.request(t, events.PipelineRequested{RunID: "now"})
	f.accepted(t, "now")
	again, ok := errors.AsType[*delivery.RetryAfter](f.handle(t, "intake/requests", delivery.Delivery{Message: codec.Message{Sequence: 1}, Delivered: 1}))
	if !ok || !again.Bounded {
		t.Errorf("the request is settled by %v", again)
	}
	run, err := history.New(f.bus).Run(t.Context(), "earlier")
	if err != nil || run.Accepted != nil {
		t.Errorf("run %+v, %v", run.Accepted, err)
	}
	if _, err := history.New(f.bus).Latest(t.Context(), events.PipelineRejected{RequestSequence: 1}.Subject()); !errors.Is(err, history.ErrNotFound) {
		t.Errorf("rejected: %v", err)
	}
}
