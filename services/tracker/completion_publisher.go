package tracker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// publisher publishes a fact under a fence.
type publisher interface {
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
}

// completion is a run that has ended, and of which everything is written
// except for its entry in the list of runs.
type completion struct {
	snapshot projection.Snapshot
	written  written
}

// completionPublisher publishes tracking.completed. Once that is stored, no
// tracker writes the entry of the run in the list of runs again, so the entry
// must be on disk first. The list is one file: it is written once for all runs
// that ended meanwhile.
type completionPublisher struct {
	journal publisher
	list    interface {
		Flush(ctx context.Context) error
	}
	// reschedule has a run written again at a later time.
	reschedule         func(run string, due time.Time)
	quietPeriod, retry time.Duration
	log                *slog.Logger

	wake chan struct{}

	mu      sync.Mutex
	waiting []completion
}

// enqueue leaves a run to the next round.
func (p *completionPublisher) enqueue(c completion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, c)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *completionPublisher) takeAll() []completion {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.waiting
	p.waiting = nil
	return all
}

// run works until ctx ends. The next tracker finds the runs that still wait
// then, because they are not tracked.
func (p *completionPublisher) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C: // for the entries of runs that go on
		case <-p.wake:
		}
		// A long list takes long to write; writing it may take a tenth of the
		// time.
		pause := min(9*p.round(ctx), 10*time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// round writes the list and publishes the completions that wait. It returns
// how long the writing took.
func (p *completionPublisher) round(ctx context.Context) (writing time.Duration) {
	all := p.takeAll() // before the list is written, so that it has their entries
	begin := time.Now()
	if err := p.list.Flush(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("run list not written; trying again", "error", err)
		for _, c := range all {
			p.reschedule(c.snapshot.Run.ID, time.Now().Add(p.retry))
		}
		return 0
	}
	writing = time.Since(begin)
	for _, c := range all {
		p.publishOrReschedule(ctx, c)
	}
	return writing
}

func (p *completionPublisher) publishOrReschedule(ctx context.Context, c completion) {
	err := p.publishTracked(ctx, c)
	if err == nil {
		p.log.Info("run tracked", "run", c.snapshot.Run.ID, "gaps", len(c.written.gaps))
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	delay := p.quietPeriod
	if later, ok := errors.AsType[*delivery.RetryAfter](err); ok {
		delay = later.Delay
	} else {
		p.log.Warn("tracking.completed not published", "run", c.snapshot.Run.ID, "retry_in", delay, "error", err)
	}
	p.reschedule(c.snapshot.Run.ID, time.Now().Add(delay))
}

// publishTracked publishes tracking.completed. The fence is lost if a fact
// came that is not written yet; then a *delivery.RetryAfter asks for the run again.
// A run may be written twice at its end, and be archived or deleted between both.
func (p *completionPublisher) publishTracked(ctx context.Context, c completion) error {
	run := c.snapshot.Run.ID
	fact := events.TrackingCompleted{RunID: run, Links: c.written.links, Gaps: c.written.gaps, Notes: c.written.notes, Deleted: c.snapshot.Run.Deleted != nil}
	_, err := p.journal.Publish(ctx, fact, journal.FenceLatest(events.RunLevelFilter(run), c.snapshot.FencingToken))
	lost, ok := errors.AsType[*journal.FencedError](err)
	switch {
	case ok && !lost.Removed && lost.Winner == "":
		return &delivery.RetryAfter{Delay: p.quietPeriod, Err: err}
	case ok: // another tracker published it, or the run is removed
		return nil
	}
	return err
}
