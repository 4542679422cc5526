package tracker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
)

const (
	// indexInterval is how often the list of runs is brought up to date.
	indexInterval = time.Second
	// indexRetry is the wait for the lease, and after an error.
	indexRetry = 5 * time.Second
	// lastUpdate bounds the update at the end of the process, so that who stops a
	// data folder finds its runs in the list.
	lastUpdate = 2 * time.Second
)

// runIndexer keeps the list of runs up to date, in one tracker at a time.
type runIndexer struct {
	// update brings the list closer to the newest fact.
	update func(ctx context.Context) (done bool, err error)
	lease  func(ctx context.Context, do func(context.Context) error) error
	log    *slog.Logger
}

// run works until ctx ends. Lists that it falls behind of are right as well, since
// their readers take the rest from the facts.
func (x runIndexer) run(ctx context.Context, busy func() bool) {
	for ctx.Err() == nil {
		updated := false
		err := x.lease(ctx, func(ctx context.Context) error {
			updated = true
			return x.updateRegularly(ctx, busy)
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, lease.ErrTaken) {
			x.log.Warn("list of runs not updated; \"tunebus runs\" reads the facts instead", "retry_in", indexRetry, "error", err)
		}
		select {
		case <-ctx.Done():
			if !updated { // a process that was killed has the lease yet, and this one may be the last
				x.updateLast(ctx)
			}
		case <-time.After(indexRetry):
		}
	}
}

// updateRegularly updates the list until ctx ends, and then once more. It yields to
// running pipelines as the rest of the tracker does.
func (x runIndexer) updateRegularly(ctx context.Context, busy func() bool) error {
	tick := time.NewTicker(indexInterval)
	defer tick.Stop()
	var last time.Time
	for {
		if !busy() || time.Since(last) > longestWait {
			if err := x.updateFully(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			last = time.Now()
		}
		select {
		case <-ctx.Done():
			x.updateLast(ctx)
			return nil
		case <-tick.C:
		}
	}
}

// updateLast updates the list as the process ends. Where another tracker updates it at the
// same time, the list is right as well.
func (x runIndexer) updateLast(ctx context.Context) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastUpdate)
	defer cancel()
	if err := x.updateFully(ending); err != nil {
		x.log.Debug("list of runs not updated at the end", "error", err)
	}
}

// updateFully updates the list up to the newest fact, or as far as the copy of the stream
// goes that answers: the rest follows the next time.
func (x runIndexer) updateFully(ctx context.Context) error {
	for ctx.Err() == nil {
		done, err := x.update(ctx)
		if errors.Is(err, history.ErrBehind) {
			return nil
		}
		if done || err != nil {
			return err
		}
	}
	return ctx.Err()
}
