package runlister

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Rejected is a request that was rejected.
type Rejected struct {
	events.PipelineRejected
	// At is when it was rejected, and Stored the sequence of that fact.
	At     time.Time
	Stored uint64
}

// ID names the rejected request as a run is named: by the id that its run would have, or, if no
// run may have that, by the number of the request.
func (r Rejected) ID() string {
	if events.ValidToken(r.RunID) && !events.ReservedRunID(r.RunID) {
		return r.RunID
	}
	return fmt.Sprintf("request-%d", r.RequestSequence)
}

// maxRejections is how many rejections a search looks at, the newest first.
const maxRejections = 10_000

// Rejections calls each with the rejected requests, the newest first, until it
// returns false. It leaves out rejections that can not be decoded.
func (l *Lister) Rejections(ctx context.Context, each func(Rejected) bool) error {
	subjects, err := l.subjects(ctx, events.TypePipelineRejected+".*")
	if err != nil {
		return err
	}
	var requests []uint64
	for subject := range subjects {
		if n, err := strconv.ParseUint(strings.TrimPrefix(subject, events.TypePipelineRejected+"."), 10, 64); err == nil {
			requests = append(requests, n)
		}
	}
	slices.SortFunc(requests, func(a, b uint64) int { return cmp.Compare(b, a) })
	const batch = 15 // an event takes 64 KiB at most, and a reply holds 1 MB
	for some := range slices.Chunk(requests, batch) {
		filters := make([]string, 0, len(some))
		for _, n := range some {
			filters = append(filters, events.PipelineRejected{RequestSequence: n}.Subject())
		}
		msgs, err := l.history.LatestOfEach(ctx, filters)
		if err != nil {
			return fmt.Errorf("list rejected requests: %w", err)
		}
		var read []Rejected
		for _, m := range msgs {
			if r, ok := m.Event.(events.PipelineRejected); ok {
				read = append(read, Rejected{r, m.Time, m.Sequence})
			}
		}
		slices.SortFunc(read, func(a, b Rejected) int { return cmp.Compare(b.RequestSequence, a.RequestSequence) })
		for _, r := range read {
			if !each(r) {
				return nil
			}
		}
	}
	return nil
}

// Rejection finds the newest rejection of a request for a run id, or the one that
// [Rejected.ID] names so; nil if there is none. It looks at the newest ten thousand rejections at most.
func (l *Lister) Rejection(ctx context.Context, run string) (found *Rejected, err error) {
	looked := 0
	err = l.Rejections(ctx, func(r Rejected) bool {
		if r.RunID == run || r.ID() == run {
			found = &r
		}
		looked++
		return found == nil && looked < maxRejections
	})
	return found, err
}
