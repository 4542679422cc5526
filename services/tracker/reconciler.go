package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/publishing"
)

// factReader reads all facts of a run.
type factReader interface {
	Facts(ctx context.Context, run string) ([]codec.Message, error)
}

// liveFactReader reads all facts of a run, at least up to the one at a sequence. The error
// is [history.ErrBehind] if a copy of the stream answered that lacks it.
type liveFactReader interface {
	FactsThrough(ctx context.Context, run string, sequence uint64) ([]codec.Message, error)
}

// behindRetry is how soon a run is read again after a copy answered that lags behind.
const behindRetry = 500 * time.Millisecond

// writer writes everything that follows from a snapshot.
type writer interface {
	writeAll(ctx context.Context, snapshot projection.Snapshot) (written, error)
	// remove removes what was written of a deleted run.
	remove(ctx context.Context, snapshot projection.Snapshot) (written, error)
	// tidy removes what a killed process left of a run that is written.
	tidy(run events.Run) error
}

// reconciler brings one run up to date: it reads its facts, has everything
// written that follows from them, and decides what comes next.
type reconciler struct {
	facts      liveFactReader
	leases     runLeases
	writer     writer
	completion interface{ enqueue(c completion) }
	// drop ends the forwarding of metric points of a run.
	drop       func(run string)
	published  *publishing.News
	retry      time.Duration
	unknownFor time.Duration
	log        *slog.Logger
}

// reconcile brings a run up to date while no other tracker writes it. newest is the
// sequence of the newest fact of the run that is known to be there, or 0. A
// *delivery.RetryAfter asks for it again after a delay.
func (r *reconciler) reconcile(ctx context.Context, run string, newest uint64) error {
	return r.leases.try(ctx, run, func(ctx context.Context) error { return r.reconcileLocked(ctx, run, newest) })
}

func (r *reconciler) reconcileLocked(ctx context.Context, run string, newest uint64) (err error) {
	news := r.published.Count(run) // before the facts are read
	facts, err := r.facts.FactsThrough(ctx, run, newest)
	if errors.Is(err, history.ErrBehind) {
		return &delivery.RetryAfter{Delay: behindRetry, Err: err}
	}
	if err != nil {
		return err
	}
	snapshot := projection.FromFacts(facts)
	defer func() {
		if err == nil {
			r.published.Written(run, news)
		}
	}()
	if snapshot.UpToDate() && (news == 0 || snapshot.Run.Deleted != nil || snapshot.Run.Completed == nil) {
		r.drop(run)
		// Two trackers may write a run one after the other, and the second one may
		// die after the first one has published that the run is tracked.
		return r.writer.tidy(snapshot.Run)
	}
	if snapshot.Run.Deleted != nil {
		return r.reconcileDeleted(ctx, snapshot)
	}
	done, err := r.writer.writeAll(ctx, snapshot)
	if err != nil {
		return r.retryLater(run, err)
	}
	step := stepAfterWriting(snapshot, time.Now(), r.unknownFor)
	if wait := publishing.Awaited(snapshot.Run, time.Now()); step == publishCompletion && wait > 0 {
		return &delivery.RetryAfter{Delay: wait, Err: fmt.Errorf("run %s is not pushed yet", run)}
	}
	if step != awaitFacts {
		r.drop(run)
	}
	switch step {
	case awaitNewerTracker:
		delay := 4 * r.retry
		err := history.Unreadable(facts)
		r.log.Warn("run written without facts of an unknown version; waiting for a newer tracker",
			"run", run, "retry_in", delay, "error", err)
		return &delivery.RetryAfter{Delay: delay, Err: err}
	case publishCompletion:
		r.completion.enqueue(completion{snapshot: snapshot, written: done})
	}
	return nil
}

// nextStep is what follows once everything is written.
type nextStep int

const (
	awaitFacts        nextStep = iota // the run goes on
	nothing                           // the run was tracked before, and a late fact updated it
	awaitNewerTracker                 // the run has ended, with a fact that only a newer tracker can read
	publishCompletion                 // the run has ended
)

func stepAfterWriting(s projection.Snapshot, now time.Time, unknownFor time.Duration) nextStep {
	switch {
	case s.Run.Completed == nil:
		return awaitFacts
	case s.TrackedSequence > 0:
		return nothing
	case now.Sub(s.UnknownVersionAt) < unknownFor:
		return awaitNewerTracker
	default:
		return publishCompletion
	}
}

// retryLater logs which parts of a run could not be written, and asks for it again. An
// error of MLflow that waiting alone may not mend is tried less often.
func (r *reconciler) retryLater(run string, err error) error {
	reports, tracking := error(nil), err
	if pending, ok := errors.AsType[*pendingError](err); ok {
		reports, tracking = pending.reports, pending.mlflow
	}
	delay := r.retry
	if reports == nil && !errors.Is(tracking, mlflow.ErrUnavailable) {
		delay *= 4
	}
	if reports != nil {
		level := slog.LevelWarn
		if errors.Is(reports, context.Canceled) { // the process ends
			level = slog.LevelDebug
		}
		r.log.Log(context.Background(), level, "reports not written", "run", run, "retry_in", delay, "error", reports)
	}
	if tracking != nil {
		r.log.Warn("tracking is pending", "run", run, "retry_in", delay, "error", tracking)
	}
	return &delivery.RetryAfter{Delay: delay, Err: fmt.Errorf("tracking of run %s is pending: %w", run, err)}
}

// runLeases keeps two trackers from writing one run at the same time.
type runLeases struct {
	// withLease calls do while this process holds the lease with a name. The error
	// matches lease.ErrTaken if another process holds it.
	withLease func(ctx context.Context, name string, do func(context.Context) error) error
	// patience is how long wait waits, and poll how often it tries.
	patience, poll time.Duration
}

// try calls do under the lease of the run. The error matches lease.ErrTaken if
// another tracker is writing the run.
func (l runLeases) try(ctx context.Context, run string, do func(ctx context.Context) error) error {
	return l.withLease(ctx, "track."+run, do)
}

// wait is try, and waits while another tracker is writing the run.
func (l runLeases) wait(ctx context.Context, run string, do func(ctx context.Context) error) error {
	for deadline := time.Now().Add(l.patience); ; {
		err := l.try(ctx, run, do)
		if !errors.Is(err, lease.ErrTaken) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(l.poll):
		}
	}
}
