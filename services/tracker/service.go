package tracker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker/duequeue"
	"github.com/tunebus/tunebus/services/tracker/livemetrics"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/publishing"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

const (
	// sweepInterval is how often the stream is asked for runs that are not
	// tracked and that no tracker has in its queue, most often because one
	// died.
	sweepInterval = time.Minute
	// sweepRetry is how soon it is asked again if it did not answer.
	sweepRetry = 5 * time.Second
	// Tracking yields to running pipelines: while more than busyFacts facts
	// come in a second nothing is written, for longestWait at most.
	busyFacts   = 100
	longestWait = 30 * time.Second
)

// Service is the tracker.
type Service struct {
	runs       untrackedRuns
	due        *duequeue.Queue
	live       *livemetrics.Forwarder
	reconciler *reconciler
	completion *completionPublisher
	list       *runlist.Buffer
	rebuilder  rebuilder
	index      runIndexer
	published  *publishing.News

	reports     string // folder of the reports; empty: none
	quietPeriod time.Duration
	slots       int
	log         *slog.Logger
	// recentFacts counts the facts of the current second, wasBusy says whether those
	// of the last second were many.
	recentFacts atomic.Int64
	wasBusy     atomic.Bool
}

// untrackedRuns lists the runs that have no tracking.completed.
type untrackedRuns interface {
	Untracked(ctx context.Context) ([]string, error)
}

// New returns a tracker.
func New(c *conn.Conn, store *artifact.Store, cfg Config) *Service {
	cfg = cfg.withDefaults()
	due := duequeue.New(longestWait)
	list := runlist.NewBuffer(cfg.Reports)
	index, facts := runlister.New(c), history.New(c)
	live := livemetrics.New(
		func(run string, p events.Phase) livemetrics.Reader { return facts.Metrics(run, p) },
		func(run string) { due.Schedule(run, time.Now()) },
		cfg.Logger,
	)
	leases := runLeases{
		withLease: func(ctx context.Context, name string, do func(context.Context) error) error {
			return lease.Run(ctx, c, name, do)
		},
		patience: time.Minute,
		poll:     200 * time.Millisecond,
	}
	writer := &runWriter{
		reports: &reportWriter{dir: cfg.Reports, homeOf: cfg.homeOf, earlier: cfg.EarlierReports, roots: cfg.DataRoots, on: cfg.on(), list: list, writeFile: cfg.Write, store: store, anyFolder: cfg.AnyFolder},
		mlflow:  mlflowsync.New(cfg.forSync(), store, facts.ReadMetrics),
		live:    live,
	}
	completion := &completionPublisher{
		journal:     journal.New(c),
		list:        list,
		reschedule:  due.Schedule,
		quietPeriod: cfg.QuietPeriod,
		retry:       cfg.Retry,
		log:         cfg.Logger,
		wake:        make(chan struct{}, 1),
	}
	withLease := leases.withLease
	published := &publishing.News{}
	return &Service{
		index: runIndexer{
			update: runindex.New(c).Update,
			lease: func(ctx context.Context, do func(context.Context) error) error {
				return withLease(ctx, "run_index", do)
			},
			log: cfg.Logger,
		},
		runs:       index,
		due:        due,
		live:       live,
		completion: completion,
		list:       list,
		published:  published,
		reconciler: &reconciler{
			facts:      facts,
			leases:     leases,
			writer:     writer,
			completion: completion,
			drop:       live.Drop,
			published:  published,
			retry:      cfg.Retry,
			unknownFor: cfg.UnknownFor,
			log:        cfg.Logger,
		},
		rebuilder: rebuilder{
			facts:      archive.NewReader(c, store),
			inStream:   index,
			archived:   archive.NewFiles(store).Runs,
			leases:     leases,
			writer:     writer,
			isHome:     func(s projection.Snapshot) bool { return writer.mlflow.IsHome(s.Run) },
			list:       list,
			completion: completion,
		},
		reports:     cfg.Reports,
		quietPeriod: cfg.QuietPeriod,
		slots:       cfg.Slots,
		log:         cfg.Logger,
	}
}

// Routes are the sources of the tracker's wake-ups, for a [delivery.Router].
// [Service.Run] has to run beside it.
func (s *Service) Routes() []delivery.Route {
	return []delivery.Route{
		{
			Name:        "tracker",
			Stream:      events.StreamFacts,
			Consumer:    topology.ConsumerTracker,
			Idempotent:  true,
			SubjectOnly: true,
			Handle:      s.handleFact,
		},
		{
			Name:     "tracker/metrics",
			Stream:   events.StreamMetrics,
			Consumer: topology.ConsumerMetrics,
			Slots:    1,
			Handle:   s.live.Handle,
		},
	}
}

// handleFact schedules the run of a fact. The queue may be lost with the
// process: [Service.Run] asks the stream for runs that are not tracked, at the
// start and now and then.
func (s *Service) handleFact(_ context.Context, d delivery.Delivery) error {
	fact, err := events.ParseSubject(d.Subject)
	if err != nil {
		return &delivery.DeadLetterError{Err: err}
	}
	s.recentFacts.Add(1)
	if fact.Type == events.TypePublishedCompleted {
		s.published.Add(fact.Run)
	}
	if fact.Type == events.TypePipelineCompleted {
		s.due.ScheduleNow(fact.Run, d.Sequence)
	} else {
		s.due.ScheduleFact(fact.Run, time.Now().Add(s.quietPeriod), d.Sequence)
	}
	return nil
}

// Run writes the runs that are due until ctx ends, beginning with all that are
// not tracked yet.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var beside, writing sync.WaitGroup
	beside.Go(func() { s.completion.run(ctx) })
	beside.Go(func() { s.sweepRegularly(ctx) })
	beside.Go(func() { s.index.run(ctx, s.isBusy) })
	slots := make(chan struct{}, s.slots)
	s.scheduleUnfinished()
	for {
		select {
		case <-ctx.Done():
			beside.Wait()
			if err := s.list.Close(context.WithoutCancel(ctx)); err != nil {
				s.log.Warn("run list not written; the next tracker writes it", "error", err)
			}
			writing.Wait()
			return nil
		case <-second.C:
			s.wasBusy.Store(s.recentFacts.Swap(0) > busyFacts)
		case <-tick.C:
		case <-s.due.Wake:
			if s.isBusy() {
				continue // the next tick starts the runs that have waited for too long
			}
		}
		s.startDue(ctx, slots, &writing, s.isBusy())
	}
}

// isBusy reports whether tracking has to yield to pipelines.
func (s *Service) isBusy() bool { return s.wasBusy.Load() || s.recentFacts.Load() > busyFacts }

// startDue starts to write the runs that are due, while there are free slots.
func (s *Service) startDue(ctx context.Context, slots chan struct{}, writing *sync.WaitGroup, busy bool) {
	for {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		run, newest, ok := s.due.Pop(time.Now(), busy)
		if !ok {
			<-slots
			return
		}
		writing.Go(func() {
			s.reconcileOrReschedule(ctx, run, newest)
			<-slots
			s.due.Notify()
		})
	}
}

// reconcileOrReschedule schedules a run again that cannot be written now.
func (s *Service) reconcileOrReschedule(ctx context.Context, run string, newest uint64) {
	err := s.reconciler.reconcile(ctx, run, newest)
	if err == nil || ctx.Err() != nil {
		return
	}
	delay := s.quietPeriod
	later, ok := errors.AsType[*delivery.RetryAfter](err)
	switch {
	case ok:
		delay = later.Delay
	case errors.Is(err, lease.ErrTaken):
		delay = 500 * time.Millisecond
	default:
		s.log.Warn("run not written", "run", run, "retry_in", delay, "error", err)
	}
	s.due.ScheduleFact(run, time.Now().Add(delay), newest)
}

// scheduleUnfinished schedules every run of which a killed tracker left half of
// a report.
func (s *Service) scheduleUnfinished() {
	unfinished, err := report.Unfinished(s.reports)
	if err != nil {
		s.log.Warn("half-written reports not found", "folder", s.reports, "error", err)
	}
	for _, run := range unfinished {
		s.due.Schedule(run, time.Now())
	}
}

// sweepRegularly sweeps until ctx ends. It has a goroutine of its own, since the
// list of all runs takes long, and in a cluster without a leader it takes its
// whole limit to fail. Other runs are written meanwhile.
func (s *Service) sweepRegularly(ctx context.Context) {
	for {
		pause := sweepInterval
		if err := s.sweep(ctx); err != nil {
			pause = sweepRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sweep schedules every run that is not tracked.
func (s *Service) sweep(ctx context.Context) error {
	untracked, err := s.runs.Untracked(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("untracked runs not listed; each is written after its next fact, or its next listing", "retry_in", sweepRetry, "error", err)
	}
	for _, run := range untracked {
		s.due.Schedule(run, time.Now())
	}
	return err
}
