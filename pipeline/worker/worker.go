package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/modelcache"
	"github.com/tunebus/tunebus/pipeline/artifact/storeretry"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/scratch"
	"github.com/tunebus/tunebus/pipeline/worker/cleanup"
	"github.com/tunebus/tunebus/pipeline/worker/inputplace"
	"github.com/tunebus/tunebus/pipeline/worker/stallwatch"
	"github.com/tunebus/tunebus/pipeline/worker/waitnews"
)

// Worker works on the jobs of one phase and queue.
type Worker struct {
	cfg         Config
	budget      shutdownBudget
	storeID     string
	history     runReader
	subscribe   func(run string) subscription
	checkpoints checkpointing.SaverConfig
	claimer     *claimer
	executor    *executor
	finisher    *finisher
	// announceHeld shows doctor a slot that is held; nil: nobody is shown.
	announceHeld stallwatch.Announcer
}

// New returns a worker that reads and stores artifacts in store.
func New(c *conn.Conn, store *artifact.Store, e engine.Engine, cfg Config) *Worker {
	cfg = cfg.withDefaults()
	budget := newShutdownBudget(cfg.Grace)
	files := transfer.NewCached(store, modelcache.New(cfg.Scratch, cfg.ModelCache))
	facts, runs, registry := waitingJournal{journal.New(c)}, history.New(c), checkpoint.New(c)
	notifier := &natsNotifier{conn: c, phase: cfg.Phase, log: cfg.Logger}
	sweep := func() {
		store.Sweep()
		scratch.Sweep(cfg.Scratch, cfg.Logger)
	}
	f := &finisher{
		journal: facts,
		history: runs,
		cleaner: &cleanup.Cleaner{Registry: registry, Store: store, Patience: checkpointing.ElectionTime, Logger: cfg.Logger},
		grace:   cfg.Grace, lastCheckpoint: budget.Checkpoint,
	}
	return &Worker{
		cfg:         cfg,
		budget:      budget,
		storeID:     store.ID(),
		history:     runs,
		subscribe:   notifier.subscribe,
		checkpoints: checkpointing.SaverConfig{Registry: registry, Files: files, Store: store, Connected: c.Connected},
		claimer:     &claimer{journal: facts, registry: registry, worker: cfg.Name, engine: cfg.Engine, sweep: sweep},
		executor: &executor{
			cfg:      cfg,
			budget:   budget,
			engine:   e,
			store:    storeretry.Store{Files: files, Budget: cfg.StoreRetryBudget, Log: cfg.Logger},
			registry: registry,
			journal:  facts,
			history:  runs,
			metrics:  runs,
			finisher: f,
		},
		finisher:     f,
		announceHeld: func(r heldslot.Record) func() { return heldslot.Announce(context.Background(), c, r) },
	}
}

// Route is the source of the worker's jobs; add it to a [delivery.Router].
func (w *Worker) Route() delivery.Route {
	return delivery.Route{
		Name:     string(w.cfg.Phase) + "/" + w.cfg.Queue,
		Stream:   events.StreamFacts,
		Consumer: topology.JobConsumer(w.cfg.Phase, w.cfg.Queue),
		Slots:    w.cfg.Slots,
		Grace:    w.cfg.Grace,
		Handle:   w.Handle,
	}
}

// PrepareScratch makes the scratch folder if it is missing, and checks that jobs can use it.
// A process calls it at its start; the folder is looked at again before each job.
func (w *Worker) PrepareScratch() error { return scratch.Prepare(w.cfg.Scratch) }

// Sweep removes the scratch folders that killed processes left behind, of every
// phase, and their half-written artifacts. A process calls it at its start; a
// worker that takes a job over sweeps by itself.
func (w *Worker) Sweep() { w.claimer.sweep() }

// Handle works on one delivery of a job. ctx is cancelled at a shutdown; the
// end of the job is then still published. The error determines how the message
// is settled, see [delivery.Handler].
func (w *Worker) Handle(ctx context.Context, d delivery.Delivery) error {
	req, err := parseJob(d, w.cfg.Phase)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.JobDelivered)
	monitor := progress.New(w.cfg.Stall, progress.Claim)
	job := fmt.Sprintf("%s/%s/%d", req.RunID, req.Phase, d.Delivered)
	slot := stallwatch.NewSlot(w.announceHeld, heldslot.Record{Worker: w.cfg.Name, RunID: req.RunID, Phase: req.Phase, Queue: w.cfg.Queue})
	defer slot.Free()
	graceCtx, stop := withGrace(progress.With(ctx, monitor), w.budget.Publish)
	defer stop()
	jobCtx, endWork := context.WithCancelCause(graceCtx)
	defer endWork(nil)
	log := w.cfg.Logger.With("run", req.RunID, "phase", req.Phase)
	waits := waitnews.Start(graceCtx, w.executor.journal, log)
	defer waits.Stop()
	defer stallwatch.Delivery{
		Monitor: monitor, Job: job, Slot: slot, StopHeartbeat: d.StopHeartbeat, EndWork: endWork, Announce: waits.Announce, Logger: log,
	}.Watch()()
	progress.Labelled(graceCtx, job, func(graceCtx context.Context) {
		err = settleStalled(monitor, w.handle(ctx, graceCtx, jobCtx, d, req, waits, slot))
	})
	return err
}

// parseJob returns the job of a delivery. A message that is no job of the phase
// becomes a dead letter.
func parseJob(d delivery.Delivery, phase events.Phase) (events.PhaseRequested, error) {
	req, ok := d.Event.(events.PhaseRequested)
	if !ok || req.Phase != phase {
		return events.PhaseRequested{}, &delivery.DeadLetterError{Err: fmt.Errorf("%s is no job of %s", d.Subject, phase)}
	}
	return req, nil
}

// handle works on a job. ctx is cancelled at a shutdown. graceCtx lives longer,
// so that the end of the job can be published then. jobCtx ends with graceCtx,
// and when the job stalls.
func (w *Worker) handle(ctx, graceCtx, jobCtx context.Context, d delivery.Delivery, req events.PhaseRequested, waits *waitnews.Announcer, slot *stallwatch.Slot) error {
	// Subscribe before the run is read, so that no change falls in between.
	wakeups := w.subscribe(req.RunID)
	defer wakeups.Close()
	named := progress.Doing(graceCtx, "reading the facts of the run from NATS")
	run, err := w.history.RunForJob(graceCtx, req)
	named()
	if err != nil {
		return w.settleUnreadable(d, req, err)
	}
	if run.Deleted != nil { // the job was delivered before a person removed it
		return nil
	}
	if state := run.Phases[req.Phase]; state != nil && state.Completed != nil {
		return w.finisher.finishCompleted(graceCtx, *state.Completed, run)
	}
	if err := inputplace.Check(req.Inputs, w.storeID, w.cfg.Sources.Local); err != nil {
		return w.giveBack(d, req, err)
	}
	a := newAttempt(req, run, w.cfg.MaxBackoff, w.cfg.Logger)
	if _, decided := a.decided(); !decided { // the end of a job that needs no work needs no folder
		if err := w.PrepareScratch(); err != nil {
			return w.giveBack(d, req, err)
		}
	}
	a.wakeups, a.stopHeartbeat, a.progress = wakeups, d.StopHeartbeat, progress.Of(graceCtx)
	a.slot = slot
	slot.SetAttempt(a.number)
	a.checkpoints = checkpointing.NewSaver(a.checkpointJob(), w.checkpoints)
	waits.SetAttempt(a.newestStep)
	return w.work(ctx, graceCtx, jobCtx, a)
}

// giveBack leaves a job to another worker, or to this one once a person has mended its
// machine. The job is not claimed yet, so it costs the run no try.
func (w *Worker) giveBack(d delivery.Delivery, req events.PhaseRequested, why error) error {
	w.cfg.Logger.Error("job given back", "run", req.RunID, "phase", req.Phase, "error", why)
	return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, w.cfg.Timing.WrongWorkerDelay), Err: why}
}

// work claims the job, has it executed and finishes it.
func (w *Worker) work(ctx, graceCtx, jobCtx context.Context, a *attempt) error {
	end, decided, err := w.claimer.claim(graceCtx, a)
	if err != nil {
		return w.finisher.handleRefusal(graceCtx, a, err)
	}
	if decided {
		a.startedAt = a.phaseStart()
		return w.finisher.conclude(graceCtx, a, noExecution{}, end)
	}
	return w.executor.execute(ctx, graceCtx, jobCtx, a)
}

// settleUnreadable settles a job whose run cannot be read. A fact of a newer
// version waits for a newer worker. A malformed fact needs a person, so the job
// becomes a dead letter.
func (w *Worker) settleUnreadable(d delivery.Delivery, req events.PhaseRequested, err error) error {
	if _, ok := errors.AsType[*events.UnknownVersionError](err); ok {
		w.cfg.Logger.Warn("job given back: a newer worker may know it", "run", req.RunID, "phase", req.Phase, "error", err)
		return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, w.cfg.Timing.WrongWorkerDelay), Err: err}
	}
	if _, ok := errors.AsType[*events.MalformedError](err); ok {
		return &delivery.DeadLetterError{Err: err}
	}
	return err
}

// attempt is one attempt at a phase. It is the job's owner from the claim until
// a newer attempt starts.
type attempt struct {
	req    events.PhaseRequested
	run    events.Run // as it was before the attempt
	policy retry.Policy
	number int
	// token is the fencing token: the sequence of the attempt's started fact. It
	// is 0 until the job is claimed.
	token     uint64
	startedAt time.Time
	// resumeFrom is the checkpoint to resume from; zero without one.
	// publishedStep is its step in the started fact.
	resumeFrom    checkpoint.Checkpoint
	publishedStep int64

	lastStep      atomic.Int64 // how far the engine is
	progress      *progress.Monitor
	checkpoints   *checkpointing.Saver
	wakeups       subscription
	stopHeartbeat func() // ends the heartbeats of the delivery, once the job is lost
	slot          *stallwatch.Slot
	log           *slog.Logger
}

// newAttempt returns the next attempt at a job, which is not claimed yet. maxBackoff is
// the longest delay before a retry; 0: no limit.
func newAttempt(req events.PhaseRequested, run events.Run, maxBackoff time.Duration, log *slog.Logger) *attempt {
	number := run.Phases[req.Phase].NextAttempt()
	return &attempt{
		req:       req,
		run:       run,
		policy:    retry.NewPolicy(req, maxBackoff),
		number:    number,
		startedAt: time.Now().UTC(),
		wakeups:   noSubscription{},
		log:       log.With("run", req.RunID, "phase", req.Phase, "attempt", number),
	}
}

// newestStep returns the step that the attempt is at.
func (a *attempt) newestStep() events.Progress {
	return events.Progress{RunID: a.req.RunID, Phase: a.req.Phase, Attempt: a.number, Step: a.lastStep.Load()}
}

// beginsAt notes the step that the engine begins behind, which a checkpoint has.
func (a *attempt) beginsAt(step int64) {
	a.lastStep.Store(step)
	a.checkpoints.Begin(step)
}

func (a *attempt) state() *events.PhaseState { return a.run.Phases[a.req.Phase] }

func (a *attempt) checkpointJob() checkpointing.Job {
	return checkpointing.Job{RunID: a.req.RunID, Phase: a.req.Phase, Attempt: a.number, Logger: a.log}
}

// natsNotifier subscribes to the wake-ups of a phase. All jobs share one set of
// NATS subscriptions, which is made at the first job.
type natsNotifier struct {
	conn  *conn.Conn
	phase events.Phase
	log   *slog.Logger

	mu    sync.Mutex
	inner *wakeup.RunNotifier // nil before the first job
}

// subscribe subscribes to the wake-ups of a run.
func (n *natsNotifier) subscribe(run string) subscription {
	inner, err := n.notifier()
	if err != nil {
		n.log.Warn("no notifications; checking ownership at intervals only", "run", run, "error", err)
		return noSubscription{}
	}
	return natsSubscription{inner.Subscribe(run)}
}

// notifier makes the notifier at the first call.
func (n *natsNotifier) notifier() (*wakeup.RunNotifier, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inner == nil {
		inner, err := wakeup.NewRunNotifier(n.conn,
			string(n.phase)+".started.>", string(n.phase)+".completed.*", events.TypeCancelRequested+".*")
		if err != nil {
			return nil, err
		}
		n.inner = inner
	}
	return n.inner, nil
}

// natsSubscription is a subscription of [natsNotifier].
type natsSubscription struct{ *wakeup.RunSubscription }

func (s natsSubscription) C() <-chan struct{} { return s.RunSubscription.C }
