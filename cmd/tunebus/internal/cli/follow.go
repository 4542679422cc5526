package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// follow shows a run on the screen until it has ended, and until it is
// tracked or trackingLimit has passed. It returns the run as it is then.
// request is the sequence of the run's request, or 0 if nobody knows it; with
// it, a run that somebody else asked for under the same id is not taken for
// this one.
func (a *app) follow(ctx context.Context, b *conn.Conn, id string, request uint64, trackingLimit time.Duration) (events.Run, error) {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	screen := a.progress()
	defer screen.close()
	if err := wakeup.Listen(listening, b, func(m codec.Message) {
		if p, ok := m.Event.(events.Progress); ok {
			screen.show(p)
		}
	}, "*.progress."+id+".*"); err != nil {
		return events.Run{}, err
	}
	bell, err := wakeup.Watch(listening, b, "*.*."+id, "*.*."+id+".*", events.TypePipelineRejected+".*")
	if err != nil {
		return events.Run{}, err
	}
	told := map[string]bool{}
	var limit <-chan time.Time
	look := time.NewTicker(2 * time.Second) // a doorbell may stay silent
	defer look.Stop()
	for {
		facts, err := history.New(b).Facts(ctx, id)
		if err != nil {
			return events.Run{}, err
		}
		run := history.Fold(facts)
		if a := run.Accepted; request != 0 && a != nil && a.Lineage.RequestSequence != request {
			facts, run = nil, events.Run{ID: id}
		}
		for _, f := range facts {
			if !told[f.Subject] {
				told[f.Subject] = true
				if f.Unreadable != nil {
					a.say("%v", history.Unreadable([]codec.Message{f}))
				}
				if c, ok := f.Event.(events.PhaseCompleted); ok {
					screen.completed(c.Phase, c.Conclusion)
				}
				a.tell(f.Event)
			}
		}
		if run.Accepted == nil {
			if err := rejected(ctx, b, id, request); err != nil {
				return run, err
			}
			if request == 0 && !told[id] {
				told[id] = true
				a.say("no run %s is known on %s yet; waiting for it", id, b.Server())
			}
		}
		if err := withoutEnd(facts); run.Completed == nil && err != nil {
			return run, err
		}
		if run.Completed != nil {
			if run.Tracked != nil || trackingLimit == 0 {
				return run, nil
			}
			if limit == nil {
				limit = time.After(trackingLimit)
			}
		}
		select {
		case <-bell:
		case <-look.C:
		case <-limit:
			return run, nil
		case <-ctx.Done():
			return run, context.Cause(ctx)
		}
	}
}

// withoutEnd is the error of a run whose beginning or end is stored and cannot
// be read: nobody will ever store another one.
func withoutEnd(facts []codec.Message) error {
	for _, f := range facts {
		a, err := events.ParseSubject(f.Subject)
		if err == nil && f.Unreadable != nil && (a.Type == events.TypePipelineAccepted || a.Type == events.TypePipelineCompleted) {
			return history.Unreadable([]codec.Message{f})
		}
	}
	return nil
}

// rejected looks whether the request of a run was rejected, and is its faults
// then. A rejection stands under the request's sequence, since no run came of
// it.
func rejected(ctx context.Context, b *conn.Conn, id string, request uint64) error {
	r, err := rejection(ctx, b, id, request)
	if err != nil || r == nil {
		return err
	}
	var faults structconf.Faults
	for _, f := range r.Faults {
		faults = append(faults, structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message})
	}
	return bad(fmt.Errorf("the request was rejected:\n%w", faults))
}

func rejection(ctx context.Context, b *conn.Conn, id string, request uint64) (*events.PipelineRejected, error) {
	if request == 0 {
		return runindex.New(b).Rejection(ctx, id)
	}
	m, err := history.New(b).Latest(ctx, events.PipelineRejected{RequestSequence: request}.Subject())
	if errors.Is(err, history.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, _ := m.Event.(events.PipelineRejected) // nothing else decodes from that subject
	return &r, nil
}

// tell writes what a fact means for people.
func (a *app) tell(e events.Event) {
	switch e := e.(type) {
	case events.PipelineAccepted:
		a.say("run %s (%s): %d phases", e.RunName, e.RunID, len(e.Plan))
	case events.PhaseStarted:
		again := ""
		if e.Attempt > 1 {
			again = fmt.Sprintf(", attempt %d", e.Attempt)
		}
		if e.ResumedFrom > 0 {
			again += fmt.Sprintf(", resumed from step %d", e.ResumedFrom)
		}
		a.say("%-10s started%s", e.Phase, again)
	case events.AttemptEnded:
		why := ""
		if e.Error != nil {
			why = ": " + e.Error.Message
		}
		a.say("%-10s attempt %d ended by %s%s", e.Phase, e.Attempt, e.Reason, why)
	case events.PhaseCompleted:
		a.say("%-10s %s after %.1f s", e.Phase, e.Conclusion, e.EndedAt.Sub(e.StartedAt).Seconds())
		for _, n := range e.Notes {
			a.say("           note: %s", n)
		}
		if e.Error != nil {
			a.say("           %s", e.Error.Message)
		}
	case events.CancelRequested:
		a.say("cancel requested %s", e.Reason)
	}
}

// outcome is the exit status of a run that has ended.
func outcome(run events.Run) error {
	c := run.Completed
	if c == nil {
		return errors.New("the run has not ended")
	}
	silent := func(status int) error { return &statusError{status, errors.New("")} }
	switch {
	case c.Conclusion == events.Failure:
		return silent(exitFailure)
	case c.Conclusion == events.Cancelled:
		return silent(exitCancelled)
	case len(c.FailedPhases) > 0:
		return silent(exitPartly)
	}
	for _, g := range c.Gates {
		if !g.Met {
			return silent(exitPartly)
		}
	}
	return nil
}
