package showcmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/rejection"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
)

// maxRejected is how many rejected requests a list shows, the newest of them.
const maxRejected = 1000

// showRejected shows a request that was rejected, which made no run.
func showRejected(ctx context.Context, s *session.Session, b *conn.Conn, id string) error {
	found, err := runlister.New(b).Rejection(ctx, id)
	if err != nil || found == nil {
		return err
	}
	return s.Console.Print(rejection.Result(*found))
}

// sayRejected says that a request with the id of a run was rejected, which the list of runs
// shows by the same id. It looks at the newest requests alone.
func sayRejected(ctx context.Context, s *session.Session, b *conn.Conn, id string) {
	const most = 150
	looked := 0
	err := runlister.New(b).Rejections(ctx, func(r runlister.Rejected) bool {
		if looked++; r.RunID == id {
			s.Console.Say("request %d with the id %s was rejected at %s, and changed nothing of this run: %s",
				r.RequestSequence, id, r.At.Local().Format(time.DateTime), view.Inline(inShort(r.Faults)))
		}
		return looked < most
	})
	_ = err // the run itself is shown without it
}

// shownID is how much of an id that no run may have is shown, in bytes.
const shownID = 40

// inShort is the fault of the id, or the first one, and how many more there are.
func inShort(faults []events.Fault) string {
	if len(faults) == 0 {
		return ""
	}
	first := faults[0]
	text := first.Key + ": " + first.Message
	for _, f := range faults {
		if f.Key == "run_id" { // by it people find their request
			text = fmt.Sprintf("%s %q: %s", f.Key, events.Cut(f.Value, shownID), f.Message)
		}
	}
	if more := len(faults) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// addRejected adds the rejected requests to what the index has no line of: at most so
// many as the list may have. They are no runs, and found by the ids that their runs
// would have.
func (l *runList) addRejected(ctx context.Context, limit int) error {
	most := maxRejected
	if limit > 0 {
		most = min(most, limit)
	}
	seen := 0
	err := runlister.New(l.server.Bus).Rejections(ctx, func(r runlister.Rejected) bool {
		if seen == most {
			if limit == 0 {
				l.sayOnce("only the newest %s rejected requests are listed", events.Count(maxRejected))
			}
			return false
		}
		line := runindex.Line{
			RunID: r.ID(), RunName: r.RunName, Labels: r.Labels, Status: events.StatusRejected, RequestedAt: r.At, UpdatedAt: r.At, Accepted: r.Stored, Newest: r.Stored,
		}
		if len(r.Faults) > 0 {
			line.Error = inShort(r.Faults)
		}
		if l.want(line) {
			seen++
			l.old = append(l.old, line)
		}
		return true
	})
	slices.SortStableFunc(l.old, func(a, b runindex.Line) int { return cmp.Compare(b.Accepted, a.Accepted) })
	return err
}
