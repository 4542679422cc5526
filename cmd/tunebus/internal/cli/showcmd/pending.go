package showcmd

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/pending"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
)

// showPending shows a run that waits for intake. Any other one is an error.
func showPending(ctx context.Context, s *session.Session, server *session.Deployment, id string) error {
	err := server.UnknownOrPending(ctx, id)
	found, ok := errors.AsType[*session.PendingError](err)
	if !ok {
		return err
	}
	return s.Console.Print(pending.Result(pending.Run{RunID: found.RunID, At: found.At}, found.Do))
}

// sayPending says which runs wait for intake. A list of runs does not fail by it.
func sayPending(ctx context.Context, s *session.Session, server *session.Deployment) {
	const most = 100 // of which a line names some
	var first []pending.Run
	n := 0
	err := waiting.Each(ctx, server.Bus, func(u waiting.Request) error {
		if n++; n <= most {
			first = append(first, pending.Run{RunID: u.RunID, At: u.At})
		}
		return nil
	})
	if n > 0 {
		s.Console.Say("%s", pending.Line(first, n))
	}
	if err != nil {
		s.Console.Say("whether requests wait for intake is not known: %v", err)
	}
}

// addWaiting adds the requests that wait for intake to what the index has no line of. A list
// does not fail by it: sayPending says that they are not known.
func (l *runList) addWaiting(ctx context.Context) {
	_ = waiting.Each(ctx, l.server.Bus, func(r waiting.Request) error {
		line := runindex.Line{ // it is accepted behind all others, if at all
			RunID: r.RunID, RunName: r.RunName, Labels: r.Labels, Status: pending.Status, RequestedAt: r.At, UpdatedAt: r.At, Accepted: math.MaxUint64,
		}
		if l.want(line) {
			l.old = append(l.old, line)
		}
		return nil
	})
	slices.SortStableFunc(l.old, func(a, b runindex.Line) int { return cmp.Compare(b.Accepted, a.Accepted) })
}
