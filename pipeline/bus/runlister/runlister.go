// Package runlister lists runs across the stream of facts: accepted, open,
// untracked, rejected, deleted. A run that is deleted is in no other list, also
// while some of it is still there. It asks the server for subjects, not for messages, so a
// list costs no more than the names of its runs.
//
//	open, err := runlister.New(c).Open(ctx)
//
// Its tests with a real server are in embedded/bustest.
package runlister

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// Lister lists runs.
type Lister struct {
	conn    *conn.Conn
	history *history.History
}

// New returns a lister on a connection.
func New(c *conn.Conn) *Lister { return &Lister{conn: c, history: history.New(c)} }

// Accepted lists the accepted runs, sorted by id. The ids that intake makes
// sort by time.
func (l *Lister) Accepted(ctx context.Context) ([]string, error) {
	accepted, err := l.withFact(ctx, events.TypePipelineAccepted)
	if err != nil {
		return nil, err
	}
	deleted, err := l.Deleted(ctx)
	if err != nil {
		return nil, err
	}
	return without(accepted, deleted), nil
}

// Open lists the accepted runs that have not ended, sorted.
func (l *Lister) Open(ctx context.Context) ([]string, error) {
	return l.withoutFact(ctx, events.TypePipelineCompleted)
}

// Untracked lists the accepted runs and the deleted ones without a
// tracking.completed, sorted.
func (l *Lister) Untracked(ctx context.Context) ([]string, error) {
	accepted, err := l.withoutFact(ctx, events.TypeTrackingCompleted)
	if err != nil {
		return nil, err
	}
	deleted, err := l.Deleted(ctx)
	if err != nil || len(deleted) == 0 {
		return accepted, err
	}
	tracked, err := l.withFact(ctx, events.TypeTrackingCompleted)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(slices.Values(append(accepted, without(deleted, tracked)...))), nil
}

// Deleted lists the runs that were deleted, sorted.
func (l *Lister) Deleted(ctx context.Context) ([]string, error) {
	return l.withFact(ctx, events.TypePipelineDeleted)
}

// Unremoved lists the deleted runs whose removal was cut short: the stream still
// holds that they were accepted, which is removed last, or no tracker has said that
// it is done.
func (l *Lister) Unremoved(ctx context.Context) ([]string, error) {
	deleted, err := l.Deleted(ctx)
	if err != nil || len(deleted) == 0 {
		return nil, err
	}
	accepted, err := l.withFact(ctx, events.TypePipelineAccepted)
	if err != nil {
		return nil, err
	}
	tracked, err := l.withFact(ctx, events.TypeTrackingCompleted)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(deleted, func(id string) bool {
		_, left := slices.BinarySearch(accepted, id)
		_, done := slices.BinarySearch(tracked, id)
		return !left && done
	}), nil
}

// InStream lists every run of which the stream holds a fact that is not of one
// attempt or queue, sorted. Unlike Accepted it lists a run that was removed in
// part.
func (l *Lister) InStream(ctx context.Context) ([]string, error) {
	subjects, err := l.subjects(ctx, "*.*.*")
	if err != nil {
		return nil, err
	}
	ids, deleted := map[string]bool{}, map[string]bool{}
	for subject := range subjects {
		a, err := events.ParseSubject(subject)
		switch {
		case err != nil, a.Type == events.TypePipelineRejected: // a rejected request made no run
		case a.Type == events.TypePipelineDeleted:
			deleted[a.Run] = true
		default:
			ids[a.Run] = true
		}
	}
	maps.DeleteFunc(ids, func(id string, _ bool) bool { return deleted[id] })
	return slices.Sorted(maps.Keys(ids)), nil
}

// Newest returns the accepted event that the stream stored last; nil if it holds
// none. One that cannot be read is passed over with a warning.
func (l *Lister) Newest(ctx context.Context) (*events.PipelineAccepted, error) {
	m, err := l.history.Latest(ctx, events.TypePipelineAccepted+".*")
	a, ok := m.Event.(events.PipelineAccepted)
	switch {
	case errors.Is(err, history.ErrNotFound):
		return nil, nil
	case codec.IsUndecodable(err):
		l.conn.Logger().Warn("the run that was accepted last cannot be read and is passed over", "fact", m.Subject, "sequence", m.Sequence, "error", errors.Unwrap(err))
		return l.newestListed(ctx)
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s is no accepted run", m.Subject)
	}
	_, err = l.history.Latest(ctx, events.PipelineDeleted{RunID: a.RunID}.Subject())
	switch {
	case errors.Is(err, history.ErrNotFound):
		return &a, nil
	case err != nil && !codec.IsUndecodable(err): // a deletion that cannot be read is one, too
		return nil, err
	}
	return l.newestListed(ctx)
}

// newestListed is the newest of all listed runs. It reads them all, which is needed
// only while the newest one is removed, or cannot be read.
func (l *Lister) newestListed(ctx context.Context) (newest *events.PipelineAccepted, err error) {
	ids, err := l.Accepted(ctx)
	if err != nil {
		return nil, err
	}
	err = l.AcceptedEvents(ctx, ids, func(a events.PipelineAccepted) {
		if newest == nil || a.RequestedAt.After(newest.RequestedAt) {
			newest = &a
		}
	})
	return newest, err
}

// AcceptedEvents reads the accepted events of runs, in no order, and calls each
// with them. It leaves out runs whose event the stream does not hold or that can
// not be decoded.
func (l *Lister) AcceptedEvents(ctx context.Context, runs []string, each func(events.PipelineAccepted)) error {
	const batch = 100 // an event takes 64 KiB at most
	for ids := range slices.Chunk(runs, batch) {
		filters := make([]string, 0, len(ids))
		for _, id := range ids {
			filters = append(filters, events.TypePipelineAccepted+"."+id)
		}
		msgs, err := l.history.LatestOfEach(ctx, filters)
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		for _, m := range msgs {
			if a, ok := m.Event.(events.PipelineAccepted); ok {
				each(a)
			}
		}
	}
	return nil
}

// withoutFact lists the accepted runs that have no fact of a type.
func (l *Lister) withoutFact(ctx context.Context, typ string) ([]string, error) {
	accepted, err := l.Accepted(ctx)
	if err != nil {
		return nil, err
	}
	ended, err := l.withFact(ctx, typ)
	if err != nil {
		return nil, err
	}
	return without(accepted, ended), nil
}

// without removes sorted ids from others.
func without(ids, sorted []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool {
		_, found := slices.BinarySearch(sorted, id)
		return found
	})
}

// withFact lists the runs that have a fact of a type.
func (l *Lister) withFact(ctx context.Context, typ string) ([]string, error) {
	subjects, err := l.subjects(ctx, typ+".*")
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(subjects))
	for subject := range subjects {
		ids = append(ids, strings.TrimPrefix(subject, typ+"."))
	}
	slices.Sort(ids)
	return ids, nil
}

// subjects lists the subjects of facts that match a filter.
func (l *Lister) subjects(ctx context.Context, filter string) (subjects map[string]uint64, err error) {
	err = l.conn.Request(ctx, conn.ListSubjects, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamFacts)
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return err
		}
		subjects = info.State.Subjects
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return subjects, nil
}
