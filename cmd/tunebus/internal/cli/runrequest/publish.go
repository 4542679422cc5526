package runrequest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// Publisher publishes an event.
type Publisher interface {
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
}

// Publish uploads the files and publishes the request. A rejection of it is
// stored by the sequence that it returns. The store may be nil if the request
// has no files.
func (r Request) Publish(ctx context.Context, to Publisher, store *artifact.Store) (sequence uint64, err error) {
	refs, err := Upload(ctx, store, r.ID, r.Files)
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
		Inputs:        inputs(refs),
		RerunOf:       r.RerunOf,
		From:          r.From,
	}, journal.Fence{})
	return m.Sequence, err
}
