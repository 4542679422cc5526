// Package knownruns has the runs that a server knows for a search: those of its stream, and
// those of which it has a line.
//
//	id, err := runlookup.Find(ctx, text, knownruns.Stream{Lister: runlister.New(c)})
package knownruns

import (
	"context"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runlookup"
)

// Stream are the runs of the stream.
type Stream struct{ Lister *runlister.Lister }

// IDs implements [runlookup.Runs].
func (r Stream) IDs(ctx context.Context) ([]string, error) { return r.Lister.Accepted(ctx) }

// Newest implements [runlookup.Runs].
func (r Stream) Newest(ctx context.Context) (runlookup.Run, error) {
	accepted, err := r.Lister.Newest(ctx)
	if err != nil || accepted == nil {
		return runlookup.Run{}, err
	}
	return Of(*accepted), nil
}

// Describe implements [runlookup.Runs].
func (r Stream) Describe(ctx context.Context, ids []string) ([]runlookup.Run, error) {
	var out []runlookup.Run
	err := r.Lister.AcceptedEvents(ctx, ids, func(a events.PipelineAccepted) { out = append(out, Of(a)) })
	return out, err
}

// Of is a run that was accepted.
func Of(a events.PipelineAccepted) runlookup.Run {
	return runlookup.Run{ID: a.RunID, Name: a.RunName, At: a.RequestedAt}
}

// WithName returns the runs among the ids whose lines have a name. left are the ids without a
// line.
func WithName(ctx context.Context, c *conn.Conn, name string, ids []string) (found []runlookup.Run, left []string, err error) {
	lacking := make(map[string]bool, len(ids))
	for _, id := range ids {
		lacking[id] = true
	}
	index := runindex.New(c)
	state, err := index.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	for line, err := range index.Newest(ctx, state) {
		if err != nil {
			return nil, nil, err
		}
		if lacking[line.RunID] && line.RunName == name {
			found = append(found, runlookup.Run{ID: line.RunID, Name: line.RunName, At: line.RequestedAt})
		}
		delete(lacking, line.RunID)
	}
	return found, slices.Sorted(maps.Keys(lacking)), nil
}
