package phase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
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
	// and varies by a half. Default 5 s.
	Backoff time.Duration
	// Look is how often a working worker looks whether it still owns its
	// job, besides being rung up. Default 20 s.
	Look time.Duration
	// Grace is how long the end of a job may take after a shutdown. Default
	// 10 s.
	Grace time.Duration
	// Sources say where models and data sets are found.
	Sources Sources
	// Scratch is the folder for temporary files. Default: the system's.
	Scratch string
	// Name names the process in started facts. Default: [bus.WorkerName].
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
	if c.Scratch == "" {
		c.Scratch = os.TempDir()
	}
	if c.Name == "" {
		c.Name = bus.WorkerName()
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
	bus    *bus.Bus
	store  *artifact.Store
	engine Engine

	mu    sync.Mutex
	bells *bus.Bells // of all jobs; nil before the first
}

// New returns a worker that reads and stores artifacts in store.
func New(b *bus.Bus, store *artifact.Store, engine Engine, cfg Config) *Worker {
	return &Worker{cfg: cfg.withDefaults(), bus: b, store: store, engine: engine}
}

// Route is where the worker's jobs come from; give it to a [bus.Receiver].
func (w *Worker) Route() bus.Route {
	return bus.Route{
		Name:   string(w.cfg.Phase) + "/" + w.cfg.Queue,
		Stream: events.StreamFacts, Durable: bus.JobDurable(w.cfg.Phase, w.cfg.Queue),
		Slots: w.cfg.Slots, Grace: w.cfg.Grace, Handle: w.Handle,
	}
}

// Handle works on one delivery of a job.
func (w *Worker) Handle(ctx context.Context, d bus.Delivery) error {
	req, ok := d.Event.(events.PhaseRequested)
	if !ok || req.Phase != w.cfg.Phase {
		return &bus.Dead{Err: fmt.Errorf("%s is no job of %s", d.Subject, w.cfg.Phase)}
	}
	end, stop := outlive(ctx, w.cfg.Grace*4/5)
	defer stop()
	door := w.door(req.RunID)
	if door != nil {
		defer door.Close()
	}
	run, err := w.bus.Run(end, req.RunID)
	if err != nil {
		return err
	}
	state := run.Phases[req.Phase]
	if state != nil && state.Completed != nil {
		return w.bus.Follow(end, *state.Completed, run)
	}
	if err := w.reachable(req.Inputs); err != nil {
		return &bus.Later{Delay: 15 * time.Second, Err: err}
	}
	return w.attempt(ctx, end, req, run, door)
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
	attempt int
	token   uint64
	started time.Time
	saved   *atomic.Bool // whether this attempt saved a checkpoint
	door    *bus.Door    // nil where there is no doorbell
}

// attempt claims the job, works on it and ends it. ctx ends when the process
// stops; end outlives it by most of the grace, for what has to be published
// then.
func (w *Worker) attempt(ctx, end context.Context, req events.PhaseRequested, run events.Run, door *bus.Door) error {
	state := run.Phases[req.Phase]
	c := claim{req: req, run: run, attempt: state.NextAttempt(), started: time.Now().UTC(), saved: new(atomic.Bool), door: door}
	var checkpoint bus.Checkpoint
	if c.attempt > 1 { // nobody was there before to save one
		var err error
		if checkpoint, err = w.checkpoint(end, req); err != nil {
			return err
		}
	}
	fact := events.PhaseStarted{RunID: req.RunID, Phase: req.Phase, Attempt: c.attempt, Worker: w.cfg.Name, Engine: w.cfg.EngineName, ResumedFrom: checkpoint.Step}
	if door != nil {
		door.Ignore(fact.Subject())
	}
	stored, err := w.bus.Publish(end, fact, bus.IfNone(events.PhaseCompleted{RunID: req.RunID, Phase: req.Phase}.Subject()))
	if err != nil {
		return w.refused(end, c, err)
	}
	c.token = stored.Sequence
	if used := w.usedUp(req, state); used != nil {
		return w.complete(end, c, Result{}, events.Failure, used)
	}
	if run.Cancel != nil {
		return w.complete(end, c, Result{}, events.Cancelled, nil)
	}
	return w.work(ctx, end, c, checkpoint)
}

// usedUp says why no further attempt may work on the job, or nil.
func (w *Worker) usedUp(req events.PhaseRequested, state *events.PhaseState) error {
	tries, crashes := w.limits(req)
	if n := state.Tries(); n >= tries {
		last := errors.New("no error was reported")
		for _, a := range state.Attempts {
			if a.Ended != nil && a.Ended.Error != nil {
				last = &Fault{Code: a.Ended.Error.Code, Err: errors.New(a.Ended.Error.Message)}
			}
		}
		return fmt.Errorf("gave up after %d tries: %w", n, last)
	}
	if n := state.Crashes(); n >= crashes {
		return &Fault{Code: "crashed", Err: fmt.Errorf("gave up after %d attempts that ended without a word, most often because the process was killed; look at its memory", n)}
	}
	return nil
}

func (w *Worker) limits(req events.PhaseRequested) (tries, crashes int) {
	tries, crashes = w.cfg.MaxTries, w.cfg.MaxCrashes
	if n := req.Specification.Pipeline.MaxTries; n > 0 {
		tries = n
	}
	if n := req.Specification.Pipeline.MaxCrashes; n > 0 {
		crashes = n
	}
	return tries, crashes
}

// work lets the engine work and ends the attempt by what came of it.
func (w *Worker) work(ctx, end context.Context, c claim, checkpoint bus.Checkpoint) error {
	job, err := newJob(end, w, c, checkpoint)
	defer func() {
		if err := job.scratch.remove(); err != nil {
			w.cfg.Logger.Warn("scratch folder not removed", "error", err)
		}
	}()
	if err != nil {
		return w.ended(end, c, events.EndError, err, checkpoint.Step)
	}
	workCtx, watch := w.watch(ctx, c)
	res, err := guarded(workCtx, w.engine, job)
	why := context.Cause(workCtx)
	watch.stop()
	metrics, merr := job.close(end)
	if err == nil && merr == nil {
		if metrics != nil {
			res.Artifacts = append(res.Artifacts, *metrics)
		}
		return w.complete(end, c, res, events.Success, nil)
	}
	switch {
	case errors.Is(why, errLost):
		return w.letGo(end, c)
	case errors.Is(why, errCancelled):
		return w.complete(end, c, Result{}, events.Cancelled, nil)
	case ctx.Err() != nil:
		return w.ended(end, c, events.EndShutdown, nil, job.lastStep())
	}
	err = errors.Join(err, merr)
	tries, _ := w.limits(c.req)
	if state := c.run.Phases[c.req.Phase]; permanent(err) || state.Tries()+1 >= tries {
		return w.complete(end, c, Result{}, events.Failure, err)
	}
	return w.ended(end, c, events.EndError, err, job.lastStep())
}

// complete ends the phase, publishes what follows, and returns nil so that
// the job is acknowledged last.
func (w *Worker) complete(ctx context.Context, c claim, res Result, how events.Conclusion, why error) error {
	fact := events.PhaseCompleted{
		RunID: c.req.RunID, Phase: c.req.Phase, Attempt: c.attempt, Conclusion: how,
		StartedAt: c.started, EndedAt: time.Now().UTC(),
		Artifacts: res.Artifacts, Statistics: res.Statistics, Scores: res.Scores, BaselineScores: res.BaselineScores,
		Gates: res.Gates, TokensIn: res.TokensIn, TokensOut: res.TokensOut, Notes: res.Notes,
	}
	if why != nil {
		fact.Error = problem(why)
	}
	if _, err := w.bus.Publish(ctx, fact, w.fence(c)); err != nil {
		return w.refused(ctx, c, err)
	}
	level := slog.LevelInfo
	if how == events.Failure {
		level = slog.LevelError
	}
	w.log(ctx, level, c, "phase completed", "conclusion", how, "seconds", fact.EndedAt.Sub(fact.StartedAt).Seconds(), "error", why)
	if c.attempt > 1 || c.saved.Load() {
		w.dropCheckpoint(ctx, c)
	}
	return w.bus.Follow(ctx, fact, c.run)
}

// ended publishes that the attempt ended without completing the phase, and
// gives the job back.
func (w *Worker) ended(ctx context.Context, c claim, reason events.EndReason, why error, step int64) error {
	fact := events.AttemptEnded{RunID: c.req.RunID, Phase: c.req.Phase, Attempt: c.attempt, Reason: reason, LastStep: step}
	if why != nil {
		fact.Error = problem(why)
	}
	if _, err := w.bus.Publish(ctx, fact, w.fence(c)); err != nil {
		return w.refused(ctx, c, err)
	}
	if reason == events.EndShutdown {
		return &bus.Later{Err: errors.New("the worker stops")}
	}
	try := c.run.Phases[c.req.Phase].Tries()
	delay := w.cfg.Backoff << min(try, 6)
	delay += time.Duration(rand.Int64N(int64(delay)/2 + 1))
	w.log(ctx, slog.LevelWarn, c, "attempt ended; trying again", "try", try+1, "delay", delay, "error", why)
	return &bus.Later{Delay: delay, Err: why}
}

func (w *Worker) fence(c claim) bus.Fence {
	return bus.IfLast(events.StartedFilter(c.req.Phase, c.req.RunID), c.token)
}

// refused reads what a refused publish means.
func (w *Worker) refused(ctx context.Context, c claim, err error) error {
	var lost *bus.LostError
	if !errors.As(err, &lost) {
		return err
	}
	return w.letGo(ctx, c)
}

// letGo is the end of an attempt that lost its job: what it stored is
// dropped; if the phase is completed, what follows is published and the job
// acknowledged, else its new owner must not be disturbed.
func (w *Worker) letGo(ctx context.Context, c claim) error {
	if c.token != 0 {
		w.dropAttempt(ctx, c)
	}
	run, err := w.bus.Run(ctx, c.req.RunID)
	if err != nil {
		return fmt.Errorf("%w (%w)", bus.ErrLetGo, err)
	}
	if p := run.Phases[c.req.Phase]; p != nil && p.Completed != nil {
		return w.bus.Follow(ctx, *p.Completed, run)
	}
	w.log(ctx, slog.LevelInfo, c, "another worker holds the job; letting go")
	return bus.ErrLetGo
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

func (w *Worker) log(ctx context.Context, level slog.Level, c claim, msg string, args ...any) {
	w.cfg.Logger.With("run", c.req.RunID, "phase", c.req.Phase, "attempt", c.attempt).Log(ctx, level, msg, args...)
}
