package runwatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// factReader reads what the stream holds of runs.
type factReader interface {
	// Facts reads every fact of a run, in the stream's order.
	Facts(ctx context.Context, run string) ([]codec.Message, error)
	// Latest reads the newest message of a subject.
	Latest(ctx context.Context, subject string) (codec.Message, error)
}

// rejectionFinder finds the newest rejection of a request for a run; nil if there
// is none.
type rejectionFinder interface {
	Rejection(ctx context.Context, run string) (*runlister.Rejected, error)
}

// subscribe returns a channel that gets a value after each publish on some
// subjects, until ctx ends.
type subscribe func(ctx context.Context, subjects ...string) (<-chan struct{}, error)

// RejectedError says that the request for a run was rejected.
type RejectedError struct {
	// RunID is the id that the run would have, and At when its request was rejected, if
	// somebody looked for that run; empty if it is the request that was just made.
	RunID string
	At    time.Time
	// Faults are the reasons.
	Faults structconf.Faults
}

func (e *RejectedError) Error() string {
	if e.At.IsZero() {
		return fmt.Sprintf("the request was rejected:\n%v", e.Faults)
	}
	return fmt.Sprintf("there is no run %s: its request was rejected at %s:\n%v", e.RunID, e.At.Local().Format(time.DateTime), e.Faults)
}

// Unwrap returns the faults.
func (e *RejectedError) Unwrap() error { return e.Faults }

// Watcher waits for what happens to runs.
type Watcher struct {
	facts      factReader
	rejections rejectionFinder
	wakeUps    subscribe
}

// On returns a watcher of the runs of the server that c leads to.
func On(c *conn.Conn) *Watcher {
	return &Watcher{
		facts:      history.New(c),
		rejections: runlister.New(c),
		wakeUps: func(ctx context.Context, subjects ...string) (<-chan struct{}, error) {
			return wakeup.Watch(ctx, c, subjects...)
		},
	}
}

// Rejected returns a [RejectedError] if the newest request for a run id was rejected.
func (w *Watcher) Rejected(ctx context.Context, id string) error { return w.rejected(ctx, id, 0) }

// rejected returns a [RejectedError] if the request of a run was rejected. A
// rejection is stored by the sequence of its request, because a rejected
// request has no run. Where the sequence is not known, which is 0, the newest
// rejections are searched for the run's id.
func (w *Watcher) rejected(ctx context.Context, id string, request uint64) error {
	r, err := w.rejection(ctx, id, request)
	if err != nil || r == nil {
		return err
	}
	out := &RejectedError{}
	if request == 0 {
		out.RunID, out.At = id, r.At
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message})
	}
	return out
}

func (w *Watcher) rejection(ctx context.Context, id string, request uint64) (*runlister.Rejected, error) {
	if request == 0 {
		return w.rejections.Rejection(ctx, id)
	}
	m, err := w.facts.Latest(ctx, events.PipelineRejected{RequestSequence: request}.Subject())
	if errors.Is(err, history.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, _ := m.Event.(events.PipelineRejected) // nothing else decodes from that subject
	return &runlister.Rejected{PipelineRejected: r, At: m.Time, Stored: m.Sequence}, nil
}

// run reads and folds the facts of a run. Beside a [*history.UnreadableError] it
// returns the part that can be read.
func (w *Watcher) run(ctx context.Context, id string) (events.Run, error) {
	facts, err := w.facts.Facts(ctx, id)
	if err != nil {
		return events.Run{}, err
	}
	return history.Fold(facts), history.Unreadable(facts)
}
