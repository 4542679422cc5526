package tracker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// Replay selects the runs that [Service.Replay] writes again.
type Replay struct {
	// Runs are the ids of the runs. Default: every run, also archived ones.
	Runs []string
	// Since, if set, excludes the runs that were requested before.
	Since time.Time
	// DryRun writes nothing.
	DryRun bool
	// OnRun, if set, is called for each run when it is done, one call at a
	// time, with the number of all runs.
	OnRun func(r Rebuilt, all int)
}

// Rebuilt is the result of one run.
type Rebuilt struct {
	Run string `json:"run_id"`
	// Outcome is what was done.
	Outcome Outcome `json:"outcome"`
	// Recorded is true if the run was not tracked before and is from here on.
	Recorded bool `json:"recorded,omitempty"`
	// Gaps describe what could not be written.
	Gaps []string `json:"gaps,omitempty"`
	// Err is why the run failed.
	Err error `json:"-"`
}

// Outcome is what a [Replay] did with a run.
type Outcome string

// The outcomes. Only runs that were asked for by id can be unknown.
const (
	Written Outcome = "written"
	Open    Outcome = "open"  // the run goes on; the tracker writes it
	Early   Outcome = "early" // it was requested before [Replay.Since]
	Unknown Outcome = "unknown"
	Failed  Outcome = "failed"
)

// Replay writes runs that have ended again, from their facts and artifacts
// alone. It stops early if MLflow cannot be reached or ctx ends. A run that
// fails for another reason does not keep the others from being written.
func (s *Service) Replay(ctx context.Context, r Replay) error {
	ids := r.Runs
	if len(ids) == 0 {
		var err error
		if ids, err = s.rebuilder.allRuns(ctx); err != nil {
			return err
		}
	}
	var oneCall sync.Mutex
	rebuilding, ctx := errgroup.WithContext(ctx)
	rebuilding.SetLimit(s.slots)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		rebuilding.Go(func() error {
			got := s.rebuilder.rebuild(ctx, id, r)
			if errors.Is(got.Err, mlflow.ErrUnavailable) || ctx.Err() != nil {
				return got.Err
			}
			if r.OnRun != nil {
				oneCall.Lock()
				defer oneCall.Unlock()
				r.OnRun(got, len(ids))
			}
			return nil
		})
	}
	err := rebuilding.Wait()
	return errors.Join(err, s.list.Flush(context.WithoutCancel(ctx)))
}

// acceptedRuns lists the accepted runs that the stream holds.
type acceptedRuns interface {
	Accepted(ctx context.Context) ([]string, error)
}

// rebuilder writes a run again, whether or not it is tracked.
type rebuilder struct {
	facts    factReader // of the stream and of the archive
	inStream acceptedRuns
	archived func(ctx context.Context) ([]string, error)
	leases   runLeases
	writer   writer
	// isHome reports whether a run is written to the address that it belongs
	// to.
	isHome     func(s projection.Snapshot) bool
	list       *runlist.Buffer
	completion *completionPublisher
}

// allRuns lists every run. It reads the stream first: a run that is archived
// meanwhile is then in both lists and not in neither.
func (r *rebuilder) allRuns(ctx context.Context) ([]string, error) {
	ids, err := r.inStream.Accepted(ctx)
	if err != nil {
		return nil, err
	}
	old, err := r.archived(ctx)
	if err != nil {
		return nil, err
	}
	ids = append(ids, old...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (r *rebuilder) rebuild(ctx context.Context, run string, replay Replay) Rebuilt {
	out := Rebuilt{Run: run}
	facts, err := r.facts.Facts(ctx, run)
	if err != nil {
		out.Outcome, out.Err = Failed, err
		return out
	}
	out.Outcome = outcomeOf(projection.FromFacts(facts), replay.Since)
	if out.Outcome != Written || replay.DryRun {
		return out
	}
	err = r.leases.wait(ctx, run, func(ctx context.Context) (err error) {
		out.Gaps, out.Recorded, err = r.rebuildLocked(ctx, run)
		return err
	})
	if err != nil {
		out.Outcome, out.Recorded, out.Err = Failed, false, fmt.Errorf("run %s: %w", run, err)
	}
	return out
}

// outcomeOf decides whether a run is to be written.
func outcomeOf(s projection.Snapshot, since time.Time) Outcome {
	switch {
	case s.Run.Accepted == nil:
		return Unknown
	case s.Run.Completed == nil:
		return Open
	case s.Run.Accepted.RequestedAt.Before(since):
		return Early
	default:
		return Written
	}
}

// rebuildLocked reads the facts again, because the tracker that had the lease
// may have published tracking.completed.
func (r *rebuilder) rebuildLocked(ctx context.Context, run string) (gaps []string, recorded bool, err error) {
	facts, err := r.facts.Facts(ctx, run)
	if err != nil {
		return nil, false, err
	}
	snapshot := projection.FromFacts(facts)
	done, err := r.writer.writeAll(ctx, snapshot)
	if err != nil {
		return nil, false, err
	}
	if snapshot.TrackedSequence > 0 || !r.isHome(snapshot) {
		return done.gaps, false, nil
	}
	if err := r.list.Flush(ctx); err != nil { // before tracking.completed, see completionPublisher
		return done.gaps, false, err
	}
	return done.gaps, true, r.completion.publishTracked(ctx, completion{snapshot: snapshot, written: done})
}
