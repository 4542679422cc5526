package publishing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Republished is the result of a push that was repeated.
type Republished struct {
	events.PublishedCompleted
	// Recorded is set if the result is stored as a fact; that of an archived run is
	// not.
	Recorded bool `json:"recorded"`
	// Unchanged is set if the Hub had all of it, so that nothing was committed.
	Unchanged bool `json:"unchanged,omitempty"`
	// Err is why it failed.
	Err error `json:"-"`
}

// ErrNothing means that a run asks for no push, or has made nothing.
var ErrNothing = errors.New("the run asks for no push (fine_tuner.push_to_hub, hf_user_id), or made nothing that could be pushed")

// ErrOpen means that a run goes on.
var ErrOpen = errors.New("the run has not ended yet; it is published when it ends")

// Replay says what is pushed once more.
type Replay struct {
	// Anew also pushes what was pushed before.
	Anew bool
	// Always has a missed gate be no obstacle.
	Always bool
	// DryRun pushes nothing.
	DryRun bool
}

// Replay pushes what a run asks for once more. The Hub gets no second commit of what it
// has.
func (p *Publisher) Replay(ctx context.Context, id string, r Replay) ([]Republished, error) {
	var out []Republished
	replay := func(ctx context.Context) (err error) {
		out, err = p.replayLocked(ctx, id, r)
		return err
	}
	for deadline := time.Now().Add(2 * topology.LeaseTTL); ; {
		err := p.withLease(ctx, id, replay)
		if !errors.Is(err, lease.ErrTaken) || time.Now().After(deadline) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(topology.LeaseTTL / 10):
		}
	}
}

func (p *Publisher) replayLocked(ctx context.Context, id string, r Replay) ([]Republished, error) {
	facts, err := p.all.Facts(ctx, id)
	if err != nil {
		return nil, err
	}
	run := history.Fold(facts)
	switch {
	case run.Accepted == nil:
		return nil, fmt.Errorf("run %s is unknown", id)
	case run.Completed == nil:
		return nil, ErrOpen
	case len(run.Publishes()) == 0:
		return nil, ErrNothing
	}
	inStream, err := p.facts.Facts(ctx, id)
	if err != nil {
		return nil, err
	}
	archived := history.Fold(inStream).Accepted == nil
	var out []Republished
	for _, what := range run.Publishes() {
		before, told := run.Published[what]
		if told && before.Outcome == events.Pushed && !r.Anew {
			continue
		}
		if r.DryRun {
			out = append(out, Republished{PublishedCompleted: events.PublishedCompleted{RunID: id, What: what, Repository: before.Repository, Reason: withheld(run, r.Always)}})
			continue
		}
		fact, unchanged, err := p.push(ctx, run, what, 1, r.Always)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		one := Republished{PublishedCompleted: fact, Unchanged: unchanged, Err: err}
		isNews := !told || before.Outcome != fact.Outcome || before.Revision != fact.Revision || before.Repository != fact.Repository
		if isNews && !archived {
			if err := p.announce(ctx, fact); err != nil {
				return out, err
			}
			one.Recorded = true
		}
		out = append(out, one)
	}
	return out, nil
}
