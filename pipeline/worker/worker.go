package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Config says which jobs a worker takes and how.
type Config struct {
	Phase events.Phase
	// Queue is the queue that jobs are taken from. Default: Engine.
	Queue string
	// EngineName is reported in started facts, such as "builtin".
	EngineName string
	// Slots is how many jobs are worked on at once. Default 1.
	Slots int
	// MaxTries is how many attempts may end by an error. Default 3. A run's
	// specification overrides it.
	MaxTries int
	// MaxCrashes is how many attempts may end without a word. Default 5. A
	// run's specification overrides it.
	MaxCrashes int
	// Backoff is the delay before the second try; it doubles with each try
	// and varies by a half. Default 5 s. A run's specification overrides it.
	Backoff time.Duration
	// MaxBackoff is the longest delay. Default: none is too long.
	MaxBackoff time.Duration
	// Look is how often a working worker looks whether it still owns its
	// job, besides being rung up. Default 20 s.
	Look time.Duration
	// Grace is how long the end of a job may take after a shutdown. Default
	// 10 s.
	Grace time.Duration
	// Elsewhere is the first delay of a job that another worker may be able to
	// do: one with another store, or a newer one. It grows. Default 15 s.
	Elsewhere time.Duration
	// Patience is how long a job that made something asks an artifact store
	// again that is full or away. Default 1 h.
	Patience time.Duration
	// Sources say where models and data sets are found.
	Sources Sources
	// Scratch is the folder for temporary files. Default: the system's.
	Scratch string
	// Name names the process in started facts. Default: [conn.ProcessName].
	Name string
	// Sample, when set, measures the machine every SampleEvery, by default
	// 5 s.
	Sample      func(context.Context) []events.Point
	SampleEvery time.Duration
	Logger      *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.EngineName == "" {
		c.EngineName = "builtin"
	}
	if c.Queue == "" {
		c.Queue = c.EngineName
	}
	if c.Slots == 0 {
		c.Slots = 1
	}
	if c.MaxTries == 0 {
		c.MaxTries = 3
	}
	if c.MaxCrashes == 0 {
		c.MaxCrashes = 5
	}
	if c.Backoff == 0 {
		c.Backoff = 5 * time.Second
	}
	if c.Look == 0 {
		c.Look = 20 * time.Second
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.Elsewhere == 0 {
		c.Elsewhere = 15 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = time.Hour
	}
	if c.Scratch == "" {
		c.Scratch = os.TempDir()
	}
	if c.Name == "" {
		c.Name = conn.ProcessName()
	}
	if c.SampleEvery == 0 {
		c.SampleEvery = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Worker works on the jobs of one phase and queue.
type Worker struct {
	cfg    Config
	bus    *conn.Conn
	store  *artifact.Store
	engine Engine

	mu    sync.Mutex
	bells *wakeup.RunNotifier // of all jobs; nil before the first
}

// New returns a worker that reads and stores artifacts in store.
func New(b *conn.Conn, store *artifact.Store, engine Engine, cfg Config) *Worker {
	return &Worker{cfg: cfg.withDefaults(), bus: b, store: store, engine: engine}
}

// Route is where the worker's jobs come from; give it to a [delivery.Router].
func (w *Worker) Route() delivery.Route {
	return delivery.Route{
		Name:   string(w.cfg.Phase) + "/" + w.cfg.Queue,
		Stream: events.StreamFacts, Consumer: topology.JobConsumer(w.cfg.Phase, w.cfg.Queue),
		Slots: w.cfg.Slots, Grace: w.cfg.Grace, Handle: w.Handle,
	}
}

// Handle works on one delivery of a job.
func (w *Worker) Handle(ctx context.Context, d delivery.Delivery) error {
	req, ok := d.Event.(events.PhaseRequested)
	if !ok || req.Phase != w.cfg.Phase {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no job of %s", d.Subject, w.cfg.Phase)}
	}
	failpoint.Here(failpoint.JobDelivered)
	end, stop := outlive(ctx, w.cfg.Grace*4/5)
	defer stop()
	door := w.door(req.RunID)
	if door != nil {
		defer door.Close()
	}
	run, err := history.New(w.bus).RunForJob(end, req)
	if err != nil {
		return w.unreadable(d, req, err)
	}
	state := run.Phases[req.Phase]
	if state != nil && state.Completed != nil {
		return w.over(end, *state.Completed, run)
	}
	if err := w.reachable(req.Inputs); err != nil {
		w.cfg.Logger.Error("job given back", "run", req.RunID, "phase", req.Phase, "error", err)
		return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, w.cfg.Elsewhere), Err: err}
	}
	return w.attempt(ctx, end, d, run, door)
}

// unreadable is what becomes of a job whose run cannot be read: a fact of a
// newer version waits for a newer worker, a malformed one for a person.
func (w *Worker) unreadable(d delivery.Delivery, req events.PhaseRequested, err error) error {
	var unknown *events.UnknownVersionError
	var malformed *events.MalformedError
	switch {
	case errors.As(err, &unknown):
		w.cfg.Logger.Warn("job given back: a newer worker may know it", "run", req.RunID, "phase", req.Phase, "error", err)
		return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, w.cfg.Elsewhere), Err: err}
	case errors.As(err, &malformed):
		return &delivery.DeadLetterError{Err: err}
	}
	return err
}

// reachable checks that every input lies in this worker's store. Nothing has
// been claimed yet, so the job can wait for a worker with the right one.
func (w *Worker) reachable(in events.Inputs) error {
	refs := []*events.Reference{in.Model, in.Predictions, in.BaselinePredictions}
	for _, f := range in.Files {
		refs = append(refs, &f)
	}
	for _, r := range refs {
		if r != nil && r.Store != w.store.ID() {
			return fmt.Errorf("artifact %s lies in store %s, this worker has store %s: check its artifact settings", r.Key, r.Store, w.store.ID())
		}
	}
	return nil
}

// claim is a held job: the attempt and its token.
type claim struct {
	req     events.PhaseRequested
	run     events.Run
	policy  policy
	attempt int
	token   uint64
	started time.Time
	quiet   func()                  // ends the heartbeats, once the job is lost
	step    *atomic.Int64           // how far the attempt is
	saved   *atomic.Bool            // whether it stored a checkpoint
	late    *late                   // of which nobody was told yet
	door    *wakeup.RunSubscription // nil where there is no doorbell
}

// attempt claims the job, works on it and ends it. ctx ends when the process
// stops; end outlives it by most of the grace, for what has to be published
// then.
func (w *Worker) attempt(ctx, end context.Context, d delivery.Delivery, run events.Run, door *wakeup.RunSubscription) error {
	req := d.Event.(events.PhaseRequested) // as Handle found out
	state := run.Phases[req.Phase]
	c := &claim{req: req, run: run, policy: w.policy(req), attempt: state.NextAttempt(), started: time.Now().UTC(), quiet: d.StopHeartbeat, step: new(atomic.Int64), saved: new(atomic.Bool), late: newLate(), door: door}
	var checkpoint checkpoint.Checkpoint
	if c.attempt > 1 { // nobody was there before to save one, or to be killed
		w.Sweep()
		var err error
		if checkpoint, err = w.checkpoint(end, req); err != nil {
			return err
		}
	}
	fact := events.PhaseStarted{RunID: req.RunID, Phase: req.Phase, Attempt: c.attempt, Worker: w.cfg.Name, Engine: w.cfg.EngineName, ResumedFrom: checkpoint.Step, StartedAt: c.started}
	if door != nil {
		door.Ignore(fact.Subject())
	}
	stored, err := journal.New(w.bus).Publish(end, fact, journal.FenceAbsent(events.PhaseCompleted{RunID: req.RunID, Phase: req.Phase}.Subject()))
	if err != nil {
		return w.refused(end, c, err)
	}
	c.token = stored.Sequence
	if v, ok := c.decided(); ok {
		c.started = c.began()
		return w.conclude(end, c, nil, v)
	}
	if c.attempt > 1 {
		if checkpoint, err = w.takeCheckpoint(end, c, checkpoint); err != nil {
			return w.refused(end, c, err)
		}
	}
	return w.work(ctx, end, c, checkpoint)
}

var errGraceOver = errors.New("the grace at shutdown is over")

// outlive is a context that goes on for d after ctx ended.
func outlive(ctx context.Context, d time.Duration) (context.Context, func()) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(d):
			cancel(errGraceOver)
		case <-out.Done():
		}
	})
	return out, func() {
		stop()
		cancel(nil)
	}
}

func (w *Worker) log(ctx context.Context, level slog.Level, c *claim, msg string, args ...any) {
	w.cfg.Logger.With("run", c.req.RunID, "phase", c.req.Phase, "attempt", c.attempt).Log(ctx, level, msg, args...)
}
