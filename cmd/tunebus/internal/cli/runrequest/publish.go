package runrequest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// Publisher publishes an event.
type Publisher interface {
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
}

// Publish makes references of the files and publishes the request. A rejection of
// it is stored by the sequence that it returns.
func (r Request) Publish(ctx context.Context, to Publisher, in Inputs) (sequence uint64, err error) {
	if r.CopyInputs {
		in.Local = nil
	}
	refs, release, err := in.References(ctx, r.Files, r.Images)
	defer release()
	if err != nil {
		return 0, err
	}
	raw := r.Overrides
	if r.RerunOf == "" {
		if raw, err = json.Marshal(r.Specification); err != nil {
			return 0, fmt.Errorf("request: %w", err)
		}
	}
	m, err := to.Publish(ctx, events.PipelineRequested{
		RunID:         r.ID,
		Specification: raw,
		Labels:        r.Labels,
		Inputs:        inputs(refs, r.Files),
		RerunOf:       r.RerunOf,
		From:          r.From,
	}, journal.Fence{})
	return m.Sequence, err
}
