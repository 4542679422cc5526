package bus

import (
	"context"
	"errors"
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
	return b.runsWithout(ctx, events.TypePipelineCompleted)
}

// Untracked lists the accepted runs that have no tracking.completed, sorted.
func (b *Bus) Untracked(ctx context.Context) ([]string, error) {
	return b.runsWithout(ctx, events.TypeTrackingCompleted)
}

// runsWithout lists the accepted runs that have no fact of a type.
func (b *Bus) runsWithout(ctx context.Context, typ string) ([]string, error) {
	all, err := b.runs(ctx, events.TypePipelineAccepted)
	if err != nil {
		return nil, err
	}
	ended, err := b.runs(ctx, typ)
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

// Rejection finds the rejection of a run that was asked for under an id; nil
// if there is none. It looks at the newest rejections, a hundred at most.
func (b *Bus) Rejection(ctx context.Context, run string) (*events.PipelineRejected, error) {
	newest, err := b.Last(ctx, events.TypePipelineRejected+".*")
	const most = 100
	for looked := 0; err == nil && looked < most; looked++ {
		r, ok := newest.Event.(events.PipelineRejected)
		if !ok {
			return nil, nil
		}
		if r.RunID == run {
			return &r, nil
		}
		if r.RequestSequence <= 1 {
			return nil, nil
		}
		newest, err = b.Last(ctx, events.PipelineRejected{RequestSequence: r.RequestSequence - 1}.Subject())
	}
	if errors.Is(err, ErrNothing) {
		return nil, nil
	}
	return nil, err
}
