package bus

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// RunIDs lists the runs that were accepted, by id. The ids that intake makes
// sort by time.
func (b *Bus) RunIDs(ctx context.Context) ([]string, error) {
	return b.runs(ctx, events.TypePipelineAccepted)
}

// OpenRuns lists the runs that were accepted and have not ended.
func (b *Bus) OpenRuns(ctx context.Context) ([]string, error) {
	all, err := b.runs(ctx, events.TypePipelineAccepted)
	if err != nil {
		return nil, err
	}
	ended, err := b.runs(ctx, events.TypePipelineCompleted)
	if err != nil {
		return nil, err
	}
	done := make(map[string]bool, len(ended))
	for _, id := range ended {
		done[id] = true
	}
	var open []string
	for _, id := range all {
		if !done[id] {
			open = append(open, id)
		}
	}
	return open, nil
}

// runs lists the third tokens of the subjects of a type.
func (b *Bus) runs(ctx context.Context, typ string) ([]string, error) {
	s, err := b.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(typ+".*"))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var ids []string
	for subject := range info.State.Subjects {
		ids = append(ids, strings.TrimPrefix(subject, typ+"."))
	}
	sort.Strings(ids)
	return ids, nil
}
