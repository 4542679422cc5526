package tracker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Replay rebuilds the tracking of runs that have ended, from their facts and
// artifacts alone.
type Replay struct {
	// Runs are the ids of the runs. Default: every run, archived ones too.
	Runs []string
	// Since, when set, leaves out the runs that were requested before it.
	Since time.Time
	// DryRun only says what would be written.
	DryRun bool
	// Told, when set, hears of each run as soon as it is dealt with, one at a
	// time, and of how many there are.
	Told func(r Rebuilt, all int)
}

// Rebuilt is what became of one run.
type Rebuilt struct {
	Run string `json:"run_id"`
	// Outcome says what was done.
	Outcome Outcome `json:"outcome"`
	// Recorded tells that the run was not tracked before and is from here on.
	Recorded bool `json:"recorded,omitempty"`
	// Gaps name what could not be written.
	Gaps []string `json:"gaps,omitempty"`
	// Err says why the run failed.
	Err error `json:"-"`
}

// Outcome is what became of a run in a [Replay].
type Outcome string

// The outcomes. Only runs that were asked for by id can be unknown.
const (
	Written Outcome = "written"
	Open    Outcome = "open"  // the run goes on; the tracker writes it
	Early   Outcome = "early" // it was requested before the time asked for
	Unknown Outcome = "unknown"
	Failed  Outcome = "failed"
)

// Replay goes through the runs. It ends early where MLflow cannot be reached
// or ctx ends; that one run fails for another reason keeps nobody else back.
func (s *Service) Replay(ctx context.Context, r Replay) error {
	ids := r.Runs
	if len(ids) == 0 {
		var err error
		if ids, err = s.all(ctx); err != nil {
			return err
		}
	}
	var one sync.Mutex // hears at a time
	writing, ctx := errgroup.WithContext(ctx)
	writing.SetLimit(s.cfg.Slots)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		writing.Go(func() error {
			got := s.rebuild(ctx, id, r)
			if errors.Is(got.Err, mlflow.ErrUnavailable) || ctx.Err() != nil {
				return got.Err
			}
			if r.Told != nil {
				one.Lock()
				defer one.Unlock()
				r.Told(got, len(ids))
			}
			return nil
		})
	}
	err := writing.Wait()
	return errors.Join(err, s.list.write(context.WithoutCancel(ctx)))
}

// all lists every run that anything is known of. The stream is read first: a
// run that is archived meanwhile is in one of the two.
func (s *Service) all(ctx context.Context) ([]string, error) {
	ids, err := runindex.New(s.bus).Accepted(ctx)
	if err != nil {
		return nil, err
	}
	old, err := archive.NewFiles(s.store).Runs(ctx)
	if err != nil {
		return nil, err
	}
	ids = append(ids, old...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// rebuild writes a run again, whether or not it is tracked, while no tracker
// writes it.
func (s *Service) rebuild(ctx context.Context, id string, r Replay) Rebuilt {
	out := Rebuilt{Run: id}
	facts, err := archive.NewReader(s.bus, s.store).Facts(ctx, id)
	st := tell(facts)
	switch {
	case err != nil:
		out.Outcome, out.Err = Failed, err
		return out
	case st.run.Accepted == nil:
		out.Outcome = Unknown
		return out
	case st.run.Completed == nil:
		out.Outcome = Open
		return out
	case st.run.Accepted.RequestedAt.Before(r.Since):
		out.Outcome = Early
		return out
	}
	out.Outcome = Written
	if r.DryRun {
		return out
	}
	err = s.hold(ctx, id, func(ctx context.Context) error {
		facts, err := archive.NewReader(s.bus, s.store).Facts(ctx, id) // whoever held it may have recorded it
		if err != nil {
			return err
		}
		st := tell(facts)
		links, gaps, err := s.project(ctx, st)
		if err != nil {
			return err
		}
		out.Gaps = gaps
		if st.tracked > 0 || !s.isHome(st.run) {
			return nil
		}
		if err := s.list.write(ctx); err != nil { // as for the recorder
			return err
		}
		out.Recorded = true
		return s.record(ctx, st, links, gaps)
	})
	if err != nil {
		out.Outcome, out.Recorded, out.Err = Failed, false, fmt.Errorf("run %s: %w", id, err)
	}
	return out
}

// isHome reports whether a run is written where it belongs.
func (s *Service) isHome(run events.Run) bool {
	home, err := s.home(run)
	return s.cfg.To == "" || err == nil && home == s.cfg.To
}

// hold waits for a run that a tracker is writing.
func (s *Service) hold(ctx context.Context, id string, do func(ctx context.Context) error) error {
	const patience = time.Minute
	for deadline := time.Now().Add(patience); ; {
		err := lease.Run(ctx, s.bus, leaseName(id), do)
		if !errors.Is(err, lease.ErrTaken) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
