package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
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
	// FileRoot is the folder that file: addresses of specifications have to
	// lie in. Default: none may be named.
	FileRoot string
	// Reports is the folder of the reports, one folder a run.
	Reports string
	// Retry is how long a run waits whose MLflow cannot be reached. Default
	// 30 s.
	Retry time.Duration
	// Slots is how many runs are written at once. Default 2.
	Slots int
	// Version is this program's.
	Version string
	Logger  *slog.Logger
}

// Service is the tracker.
type Service struct {
	cfg   Config
	bus   *bus.Bus
	store *artifact.Store
	runs  *report.RunList

	mu sync.Mutex
	// seen is, for each run that is under way, up to which sequence its facts
	// have been written.
	seen map[string]uint64
	busy map[string]bool
}

// New returns a tracker.
func New(b *bus.Bus, store *artifact.Store, cfg Config) *Service {
	if cfg.TrackingURI == "" {
		cfg.TrackingURI = "file:./mlruns"
	}
	if cfg.Retry == 0 {
		cfg.Retry = 30 * time.Second
	}
	if cfg.Slots == 0 {
		cfg.Slots = 2
	}
	if cfg.Credentials == nil {
		cfg.Credentials = func(string) mlflow.Options { return mlflow.Options{} }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, bus: b, store: store, runs: report.NewRunList(cfg.Reports), seen: map[string]uint64{}, busy: map[string]bool{}}
}

// Route is where the tracker's doorbell is; give it to a [bus.Receiver].
func (s *Service) Route() bus.Route {
	return bus.Route{Name: "tracker", Stream: events.StreamFacts, Durable: bus.DurableTracker, Slots: s.cfg.Slots, Handle: s.Handle}
}

// Handle brings the run of an event up to date.
func (s *Service) Handle(ctx context.Context, d bus.Delivery) error {
	fact, ok := d.Event.(events.Fact)
	if !ok {
		return &bus.Dead{Err: fmt.Errorf("%s is no fact", d.Subject)}
	}
	switch d.Event.(type) {
	case events.TrackingCompleted, events.PipelineRejected:
		return nil // our own word, and one that makes no run
	}
	written, free := s.take(fact.Run(), d.Sequence)
	switch {
	case written:
		return nil
	case !free:
		return &bus.Later{Delay: 300 * time.Millisecond, Err: errors.New("the run is being written")}
	}
	defer s.release(fact.Run())
	return s.reconcile(ctx, fact.Run())
}

// take reserves a run, unless the fact at sequence has been written already
// or somebody is writing the run.
func (s *Service) take(run string, sequence uint64) (written, free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[run] >= sequence {
		return true, false
	}
	if s.busy[run] {
		return false, false
	}
	s.busy[run] = true
	return false, true
}

func (s *Service) release(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, run)
}

// wrote notes up to where a run is written. Few runs are under way at once;
// those that ended long ago are forgotten first.
func (s *Service) wrote(run string, sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 10_000
	if len(s.seen) >= most {
		clear(s.seen)
	}
	s.seen[run] = max(s.seen[run], sequence)
}

// reconcile reads a run and writes everything that follows from it.
func (s *Service) reconcile(ctx context.Context, id string) error {
	facts, err := s.bus.Facts(ctx, id)
	if err != nil {
		return err
	}
	run := bus.Fold(facts)
	if run.Accepted == nil {
		return nil // a cancel of a run that nobody knows, for one
	}
	last := facts[len(facts)-1].Sequence
	files, err := s.reports(ctx, run)
	if err != nil {
		s.cfg.Logger.Warn("reports not written", "run", id, "again", s.cfg.Retry, "error", err)
		return &bus.Later{Delay: s.cfg.Retry, Err: fmt.Errorf("reports of run %s: %w", id, err)}
	}
	links, gaps, err := s.track(ctx, run, files)
	if err != nil {
		delay := s.cfg.Retry
		if !errors.Is(err, mlflow.ErrUnavailable) {
			delay *= 4
		}
		s.cfg.Logger.Warn("tracking is pending", "run", id, "again", delay, "error", err)
		return &bus.Later{Delay: delay, Err: fmt.Errorf("tracking of run %s is pending: %w", id, err)}
	}
	s.wrote(id, last)
	if run.Completed == nil || run.Tracked != nil {
		return nil
	}
	for _, f := range files {
		links[f.Name] = f.Path
	}
	_, err = s.bus.Publish(ctx, events.TrackingCompleted{RunID: id, Links: links, Gaps: gaps}, bus.Fence{})
	var lost *bus.LostError
	if err != nil && !errors.As(err, &lost) {
		return err
	}
	return nil
}

// reports writes the files of a run that has ended, and its line in the list.
func (s *Service) reports(ctx context.Context, run events.Run) ([]report.File, error) {
	if s.cfg.Reports == "" {
		return nil, nil
	}
	if err := s.runs.Update(report.Line(run)); err != nil {
		return nil, err
	}
	if run.Completed == nil {
		return nil, nil
	}
	dir, err := filepath.Abs(filepath.Join(s.cfg.Reports, run.ID)) // a run id is a valid token, so it is one folder's name
	if err != nil {
		return nil, err
	}
	return report.Write(ctx, dir, report.Report{Run: run, Scores: s.scores(run)})
}
