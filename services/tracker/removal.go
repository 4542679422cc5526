package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report/removal"
)

// reconcileDeleted removes what the tracker wrote of a run that a person deleted.
// tracking.completed says that it is done. The one of the run itself is in its
// place until the deletion has removed it.
func (r *reconciler) reconcileDeleted(ctx context.Context, snapshot projection.Snapshot) error {
	run := snapshot.Run.ID
	done, err := r.writer.remove(ctx, snapshot)
	if err != nil {
		return r.retryLater(run, err)
	}
	r.drop(run)
	if snapshot.TrackedSequence > 0 {
		age := time.Since(snapshot.Run.Deleted.DeletedAt)
		return &delivery.RetryAfter{Delay: min(max(age, 200*time.Millisecond), time.Minute), Err: errors.New("the deleted run is still tracked")}
	}
	r.completion.enqueue(completion{snapshot: snapshot, written: done})
	return nil
}

// remove removes the reports of a deleted run and its entry in the list of runs, and
// marks its MLflow runs, which stay.
func (w *runWriter) remove(ctx context.Context, snapshot projection.Snapshot) (written, error) {
	deleted := *snapshot.Run.Deleted
	reports, err := removal.Removal{
		Deleted: deleted, Sequence: snapshot.NewestSequence, Dir: w.reports.dir, AnyFolder: w.reports.anyFolder, Earlier: w.reports.earlier, List: w.reports.list.Add,
	}.Run(ctx)
	if err != nil && ctx.Err() != nil {
		return written{}, &pendingError{reports: err}
	}
	failpoint.Here(failpoint.DeletedReports)
	result, unmarked := w.mlflow.MarkDeleted(ctx, deleted)
	if err != nil || unmarked != nil {
		return written{}, &pendingError{reports: err, mlflow: unmarked}
	}
	return written{
		links: result.Links,
		gaps:  append(reports.Gaps, result.Gaps...),
		notes: append(reports.Notes, result.Notes...),
	}, nil
}

// RemoveDeleted removes what trackers wrote of deleted runs, and says so in the
// stream, for a process that does not [Service.Run]. What fails of one run keeps no
// other from it. The error is that of [errors.Join], and matches
// [mlflow.ErrUnavailable] if MLflow cannot be reached; a tracker does the rest later.
func (s *Service) RemoveDeleted(ctx context.Context, runs []string) error {
	var failed []error
	for _, run := range runs {
		err := s.reconciler.leases.wait(ctx, run, func(ctx context.Context) error { return s.reconciler.reconcileLocked(ctx, run, 0) })
		if later, ok := errors.AsType[*delivery.RetryAfter](err); ok {
			failed = append(failed, later.Err) // which names the run
		} else if err != nil {
			failed = append(failed, fmt.Errorf("run %s: %w", run, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := s.list.Flush(ctx); err != nil {
		return errors.Join(append(failed, err)...)
	}
	for _, c := range s.completion.takeAll() {
		if err := s.completion.publishTracked(ctx, c); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
