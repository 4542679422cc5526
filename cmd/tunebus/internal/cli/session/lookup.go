package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/knownruns"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runlookup"
)

// RunID returns the id of the run that a person means by its id, the beginning of
// its id, its name, or "last". Where it means no run, it may mean a rejected request by the same.
// A text that means neither is returned as it is, and so
// is the id of a run that was deleted: it never means another run that begins with it.
func (s *Deployment) RunID(ctx context.Context, text string) (string, error) {
	if events.ValidToken(text) {
		deleted, err := history.New(s.Bus).Latest(ctx, events.PipelineDeleted{RunID: text}.Subject())
		if err == nil && deleted.Event != nil {
			return text, nil
		}
	}
	id, err := runlookup.Find(ctx, text, knownruns.Stream{Lister: runlister.New(s.Bus)}, archivedRuns{s}, rejectedRequests{server: s, text: text})
	if errors.Is(err, runlookup.ErrNoRuns) {
		err = s.noLast(ctx, err)
	}
	if _, ambiguous := errors.AsType[*runlookup.AmbiguousError](err); ambiguous || errors.Is(err, runlookup.ErrNoRuns) || errors.Is(err, errNoLast) {
		err = exit.Input(err)
	}
	return id, err
}

// noLast says why there is no last run, where there were runs.
func (s *Deployment) noLast(ctx context.Context, none error) error {
	archived, err := archivedRuns{s}.IDs(ctx)
	if err != nil {
		return none
	}
	deleted, err := runlister.New(s.Bus).Deleted(ctx)
	if err != nil {
		return none
	}
	if len(archived) == 0 && len(deleted) == 0 {
		return none
	}
	if len(archived) == 0 {
		return fmt.Errorf("%w: the runs that there were are deleted", errNoLast)
	}
	return fmt.Errorf("%w that is still in the stream: of those there were, %d are archived and %d deleted; \"tunebus runs --archived\" lists the archived ones",
		errNoLast, len(archived), len(deleted))
}

// errNoLast is [runlookup.ErrNoRuns] where there were runs.
var errNoLast = errors.New("there is no last run")

// archivedRuns are the runs of the archive. Without an artifact store there are
// none: a command that needs the run says then that it could not look there.
type archivedRuns struct{ server *Deployment }

// IDs implements [runlookup.Runs].
func (r archivedRuns) IDs(ctx context.Context) ([]string, error) {
	store, err := r.server.Store(ctx)
	if err != nil {
		return nil, nil
	}
	archived, err := archive.NewFiles(store).Runs(ctx)
	if err != nil || len(archived) == 0 {
		return nil, err
	}
	deleted, err := runlister.New(r.server.Bus).Deleted(ctx)
	return slices.DeleteFunc(archived, func(id string) bool { // what a deletion that was cut short left of them
		_, gone := slices.BinarySearch(deleted, id)
		return gone
	}), err
}

// Newest implements [runlookup.Runs]. The archive has no order.
func (r archivedRuns) Newest(context.Context) (runlookup.Run, error) { return runlookup.Run{}, nil }

// Describe implements [runlookup.Runs].
func (r archivedRuns) Describe(ctx context.Context, ids []string) ([]runlookup.Run, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	reader, err := r.server.Archive(ctx)
	if err != nil {
		return nil, err
	}
	var out []runlookup.Run
	for _, id := range ids {
		if run, err := reader.Run(ctx, id); err == nil && run.Accepted != nil {
			out = append(out, knownruns.Of(*run.Accepted))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return out, nil
}

// WithName implements [runlookup.Named]. It reads names from the lines of runs, and the archives
// of runs without one.
func (r archivedRuns) WithName(ctx context.Context, name string, ids []string) ([]runlookup.Run, error) {
	found, left, err := knownruns.WithName(ctx, r.server.Bus, name, ids)
	if err != nil {
		return nil, err
	}
	others, err := r.Describe(ctx, left)
	return append(found, slices.DeleteFunc(others, func(o runlookup.Run) bool { return o.Name != name })...), err
}

// rejectedRequests are the newest rejected requests, by the runs that they asked for. Where a
// request with the text as its id waits for intake, there is only that: the text means it.
type rejectedRequests struct {
	server *Deployment
	text   string
}

// IDs implements [runlookup.Runs].
func (r rejectedRequests) IDs(ctx context.Context) ([]string, error) {
	if _, waits := errors.AsType[*PendingError](r.server.UnknownOrPending(ctx, r.text)); waits {
		return []string{r.text}, nil
	}
	var ids []string
	err := r.each(ctx, func(rejected runlister.Rejected) {
		if ids = append(ids, rejected.ID()); rejected.ID() != rejected.RunID {
			ids = append(ids, rejected.RunID)
		}
	})
	return ids, err
}

// each calls do for the newest rejection of each run.
func (r rejectedRequests) each(ctx context.Context, do func(runlister.Rejected)) error {
	const most = 10_000
	seen := map[string]bool{}
	return runlister.New(r.server.Bus).Rejections(ctx, func(rejected runlister.Rejected) bool {
		if !seen[rejected.ID()] {
			seen[rejected.ID()] = true
			do(rejected)
		}
		return len(seen) < most
	})
}

// Newest implements [runlookup.Runs]. The last run is never a rejected request.
func (r rejectedRequests) Newest(context.Context) (runlookup.Run, error) { return runlookup.Run{}, nil }

// Describe implements [runlookup.Runs].
func (r rejectedRequests) Describe(ctx context.Context, ids []string) ([]runlookup.Run, error) {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var out []runlookup.Run
	err := r.each(ctx, func(rejected runlister.Rejected) {
		if wanted[rejected.ID()] {
			out = append(out, runlookup.Run{ID: rejected.ID(), Name: rejected.RunName, At: rejected.At})
		}
	})
	return out, err
}
