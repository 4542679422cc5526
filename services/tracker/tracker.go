package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// Config says where runs are tracked.
type Config struct {
	// TrackingURI is where runs go whose specification names no address.
	// Default "file:./mlruns".
	TrackingURI string
	// Allowed are the origins, scheme://host:port, of servers that a
	// specification may name. TrackingURI's own is always allowed, and so are
	// folders below FileRoot.
	Allowed []string
	// Credentials gives the options for an address.
	Credentials func(uri string) mlflow.Options
	// To, when set, is where every run is written, whatever its specification
	// says. A run that belongs elsewhere is not recorded as tracked by that.
	To string
	// Open opens a target. Default [mlflow.Open].
	Open func(uri string, opt mlflow.Options) (mlflow.Target, error)
	// Write writes the reports of a run. Default [report.Write].
	Write func(ctx context.Context, dir string, r report.Report) ([]report.File, error)
	// FileRoot is the folder that file: addresses of specifications have to
	// lie in. Default: none may be named.
	FileRoot string
	// Reports is the folder of the reports, one folder a run.
	Reports string
	// Settle is how long a run that goes on is left alone after a fact, so
	// that facts in quick succession are written once. Default 1 s.
	Settle time.Duration
	// Retry is how long a run waits whose MLflow cannot be reached. Default
	// 30 s.
	Retry time.Duration
	// UnknownFor is how long a run with a fact of an unknown version waits for
	// a newer tracker before it is recorded without. Default 7 days.
	UnknownFor time.Duration
	// Slots is how many runs are written at once. Default 2.
	Slots int
	// Version is this program's.
	Version string
	Logger  *slog.Logger
}

// Service is the tracker.
type Service struct {
	cfg   Config
	bus   *conn.Conn
	store *artifact.Store
	list  *list
	due   *agenda
	live  *live
	// recorder records runs as tracked behind their writing.
	recorder *recorder
	// targets are the places that runs are tracked at, by address: one each,
	// since a target keeps its own writers apart.
	targets targets
	heard   atomic.Int64 // facts of the second under way
}

// New returns a tracker.
func New(b *conn.Conn, store *artifact.Store, cfg Config) *Service {
	if cfg.TrackingURI == "" {
		cfg.TrackingURI = "file:./mlruns"
	}
	if cfg.Retry == 0 {
		cfg.Retry = 30 * time.Second
	}
	if cfg.UnknownFor == 0 {
		cfg.UnknownFor = 7 * 24 * time.Hour
	}
	if cfg.Settle == 0 {
		cfg.Settle = time.Second
	}
	if cfg.Slots == 0 {
		cfg.Slots = 2
	}
	if cfg.Credentials == nil {
		cfg.Credentials = func(string) mlflow.Options { return mlflow.Options{} }
	}
	if cfg.Write == nil {
		cfg.Write = report.Write
	}
	if cfg.Open == nil {
		cfg.Open = mlflow.Open
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, bus: b, store: store, list: newList(cfg.Reports), due: newAgenda(), live: newLive(), recorder: newRecorder()}
}

// Routes are where the tracker's doorbells are; give them to a
// [delivery.Router]. [Service.Run] has to run beside it.
func (s *Service) Routes() []delivery.Route {
	return []delivery.Route{
		{Name: "tracker", Stream: events.StreamFacts, Consumer: topology.ConsumerTracker, Idempotent: true, SubjectOnly: true, Handle: s.Handle},
		{Name: "tracker/metrics", Stream: events.StreamMetrics, Consumer: topology.ConsumerMetrics, Slots: 1, Handle: s.Points},
	}
}

// Handle hears of a fact and puts its run on the agenda. What is on the agenda
// may be forgotten with the process: the stream itself says which runs are not
// tracked yet, and [Service.Run] asks it at the start and now and then.
func (s *Service) Handle(_ context.Context, d delivery.Delivery) error {
	fact, err := events.ParseSubject(d.Subject)
	if err != nil {
		return &delivery.DeadLetterError{Err: err}
	}
	s.heard.Add(1)
	if fact.Type == events.TypePipelineCompleted {
		s.due.now(fact.Run)
	} else {
		s.due.put(fact.Run, time.Now().Add(s.cfg.Settle))
	}
	return nil
}

const (
	// sweepEvery is how often the stream is asked for runs that nobody has on
	// an agenda, most often since another tracker died.
	sweepEvery = time.Minute
	// Tracking gives way to runs: while more than busyFacts are heard in a
	// second nothing is written, for longestWait at most.
	busyFacts   = 100
	longestWait = 30 * time.Second
)

// Run writes the runs on the agenda until ctx ends, beginning with all that
// are not tracked yet.
func (s *Service) Run(ctx context.Context) error {
	var writing errgroup.Group
	writing.SetLimit(s.cfg.Slots)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var recording sync.WaitGroup
	recording.Go(func() { s.recording(ctx) })
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	s.sweep(ctx)
	busy := false
	for {
		select {
		case <-ctx.Done():
			recording.Wait()
			if err := s.list.close(context.WithoutCancel(ctx)); err != nil {
				s.cfg.Logger.Warn("run list not written; the next tracker writes it", "error", err)
			}
			return writing.Wait()
		case <-sweep.C:
			s.sweep(ctx)
		case <-second.C:
			busy = s.heard.Swap(0) > busyFacts
		case <-tick.C:
		case <-s.due.bell:
			if busy || s.heard.Load() > busyFacts {
				continue // the next tick finds whoever has waited for too long
			}
		}
		for s.next(ctx, &writing, busy || s.heard.Load() > busyFacts) {
		}
	}
}

// next begins to write one run that is due, if there is one and somebody is
// free to write it.
func (s *Service) next(ctx context.Context, writing *errgroup.Group, busy bool) bool {
	return writing.TryGo(func() error {
		if id, ok := s.due.take(time.Now(), busy); ok {
			s.writeDue(ctx, id)
			s.due.wake()
		}
		return nil
	}) && s.due.any(time.Now(), busy)
}

// sweep puts every run that is not tracked on the agenda.
func (s *Service) sweep(ctx context.Context) {
	untracked, err := runindex.New(s.bus).Untracked(ctx)
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("runs that are not tracked were not listed; each is written at its next fact", "error", err)
	}
	for _, id := range untracked {
		s.due.put(id, time.Now())
	}
}

// writeDue writes a run on the agenda; one that cannot be written now goes
// back there.
func (s *Service) writeDue(ctx context.Context, id string) {
	err := s.reconcile(ctx, id)
	var later *delivery.RetryAfter
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &later):
		s.due.put(id, time.Now().Add(later.Delay))
	case errors.Is(err, lease.ErrTaken):
		s.due.put(id, time.Now().Add(500*time.Millisecond))
	default:
		s.cfg.Logger.Warn("run not written", "run", id, "again", s.cfg.Settle, "error", err)
		s.due.put(id, time.Now().Add(s.cfg.Settle))
	}
}

// leaseName keeps two trackers from writing one run together.
func leaseName(run string) string { return "track." + run }

// reconcile reads a run and writes everything that follows from it, while no
// other tracker does.
func (s *Service) reconcile(ctx context.Context, id string) error {
	return lease.Run(ctx, s.bus, leaseName(id), func(ctx context.Context) error { return s.write(ctx, id) })
}

func (s *Service) write(ctx context.Context, id string) error {
	facts, err := history.New(s.bus).Facts(ctx, id)
	if err != nil {
		return err
	}
	st := tell(facts)
	if st.settled() {
		s.live.forget(id)
		return nil
	}
	links, gaps, err := s.project(ctx, st)
	var failed *reportsError
	switch {
	case errors.As(err, &failed):
		s.cfg.Logger.Warn("reports not written", "run", id, "again", s.cfg.Retry, "error", err)
		return &delivery.RetryAfter{Delay: s.cfg.Retry, Err: err}
	case err != nil:
		delay := s.cfg.Retry
		if !errors.Is(err, mlflow.ErrUnavailable) {
			delay *= 4
		}
		s.cfg.Logger.Warn("tracking is pending", "run", id, "again", delay, "error", err)
		return &delivery.RetryAfter{Delay: delay, Err: fmt.Errorf("tracking of run %s is pending: %w", id, err)}
	case st.run.Completed == nil:
		return nil
	}
	s.live.forget(id)
	if st.tracked > 0 {
		return nil // a fact came late, and was told
	}
	if time.Since(st.unknown) < s.cfg.UnknownFor {
		delay := 4 * s.cfg.Retry
		s.cfg.Logger.Warn("run written without what a newer tracker may know", "run", id, "again", delay, "error", history.Unreadable(facts))
		return &delivery.RetryAfter{Delay: delay, Err: history.Unreadable(facts)}
	}
	s.recorder.put(tracked{st, links, gaps})
	return nil
}

// record stores where a run is tracked, unless a fact was stored that is not
// told there yet.
func (s *Service) record(ctx context.Context, st story, links map[string]string, gaps []string) error {
	fact := events.TrackingCompleted{RunID: st.run.ID, Links: links, Gaps: gaps}
	_, err := journal.New(s.bus).Publish(ctx, fact, journal.FenceLatest(events.RunLevelFilter(st.run.ID), st.whole))
	var lost *journal.FencedError
	switch {
	case errors.As(err, &lost) && lost.Winner == "":
		return &delivery.RetryAfter{Delay: s.cfg.Settle, Err: err}
	case errors.As(err, &lost): // by another tracker
		return nil
	}
	return err
}

// project writes everything that follows from a run: its reports, its line in
// the list, and MLflow. Links lead to all of it; gaps name what MLflow will
// never take, and what nobody can read.
func (s *Service) project(ctx context.Context, st story) (links map[string]string, gaps []string, err error) {
	files, err := s.reports(ctx, st)
	if err != nil {
		return nil, nil, &reportsError{run: st.run.ID, err: err}
	}
	if links, gaps, err = s.track(ctx, st, files); err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		links[f.Name] = f.Path
	}
	return links, append(gaps, st.unreadable...), nil
}

// reportsError says that the reports could not be written.
type reportsError struct {
	run string
	err error
}

func (e *reportsError) Error() string { return fmt.Sprintf("reports of run %s: %v", e.run, e.err) }

func (e *reportsError) Unwrap() error { return e.err }

// reports writes the files of a run that has ended, and its line in the list.
func (s *Service) reports(ctx context.Context, st story) ([]report.File, error) {
	if s.cfg.Reports == "" {
		return nil, nil
	}
	line := report.Line(st.run)
	line.Sequence = st.newest
	if err := s.list.put(ctx, line); err != nil {
		return nil, err
	}
	if st.run.Completed == nil {
		return nil, nil
	}
	dir, err := filepath.Abs(filepath.Join(s.cfg.Reports, st.run.ID)) // a run id is a valid token, so it is one folder's name
	if err != nil {
		return nil, err
	}
	return s.cfg.Write(ctx, dir, report.Report{Run: st.run, Scores: s.scores(st.run)})
}
