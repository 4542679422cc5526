package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/storeretry"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/metrics"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/scratch"
	"github.com/tunebus/tunebus/pipeline/worker/joblog"
)

var errStillWorking = errors.New("the engine has not returned yet")

// executor has the engine work on claimed jobs.
type executor struct {
	cfg      Config
	budget   shutdownBudget
	engine   engine.Engine
	store    storeretry.Store
	registry checkpointing.Registry
	journal  eventPublisher
	history  runReader
	metrics  metrics.Reader
	finisher *finisher
}

// execute has the engine work and finishes the attempt by the outcome. An
// engine that ignores cancellation does not delay the phase or the shutdown, but
// it keeps its slot until it returns.
func (e *executor) execute(ctx, graceCtx, jobCtx context.Context, a *attempt) error {
	watch := watchOwnership(ctx, jobCtx, a, e.history, e.cfg.Timing.OwnershipCheckInterval)
	defer watch.stop()
	x := e.start(watch, a)
	engineCtx, done := withGrace(ctx, e.budget.Engine)
	defer done()
	returned := x.wait(watch.workCtx, min(engineStopTime, e.budget.Engine))
	if stall := a.progress.Retire(progress.Finish); stall != nil {
		return e.letGo(engineCtx, graceCtx, a, x, stall)
	}
	if returned {
		return e.finisher.conclude(graceCtx, a, x, retry.Classify(x.err, context.Cause(watch.workCtx)))
	}
	c := retry.Classify(errStillWorking, context.Cause(watch.workCtx))
	if c.Class == retry.ClassCancelled || c.Class == retry.ClassPermanent {
		a.log.WarnContext(graceCtx, "the engine does not stop; its phase ends without it, its slot waits for it", "cause", c.Class)
		a.slot.Hold("the engine does not stop, and its phase has ended without it")
		err := e.finisher.conclude(graceCtx, a, noExecution{}, c)
		if x.wait(engineCtx, 0) {
			x.discard()
		} else {
			go x.discardWhenDone() // ends with the engine, at the latest with the process
		}
		return err
	}
	if x.wait(engineCtx, 0) {
		return e.finisher.conclude(graceCtx, a, x, retry.Classify(x.err, context.Cause(watch.workCtx)))
	}
	a.log.WarnContext(graceCtx, "the engine does not stop; the job is given back without it")
	go x.discardWhenDone() // ends with the engine, at the latest with the process
	return e.finisher.conclude(graceCtx, a, noExecution{}, c)
}

// start starts the engine on a goroutine of its own. Its result is complete only
// with the metric history, which a shutdown still lets it store.
func (e *executor) start(watch *ownershipWatch, a *attempt) *execution {
	x := &execution{
		executor: e,
		attempt:  a,
		scratch:  scratch.Folder{Parent: e.cfg.Scratch, Phase: a.req.Phase},
		done:     make(chan struct{}),
	}
	x.lines = joblog.Start(joblog.Config{RunID: a.req.RunID, Phase: a.req.Phase, Attempt: a.number, Publisher: e.journal, Environ: os.Environ})
	x.log, x.steps = x.lines.Logger(a.log), x.lines.Progress()
	go func() { // ends with the engine, which execute waits for
		defer close(x.done)
		defer x.lines.Close()
		a.progress.SetStage(progress.Fetch)
		if x.err = x.open(watch.workCtx); x.err == nil {
			a.progress.SetStage(workStage(a.req.Phase))
			x.res, x.err = runEngine(watch.workCtx, e.engine, x.job)
		}
		a.progress.SetStage(progress.Finish)
		failpoint.Here(failpoint.JobDone)
		x.res.Notes = append(x.res.Notes, x.notes...)
		if x.err == nil {
			x.err = x.storeHistory(watch.ownedCtx, &x.res)
		}
		if x.recorder != nil { // the end of the attempt may take long to publish, and nobody works any more
			x.recorder.StopSampling()
		}
	}()
	return x
}

// runEngine turns a panic of the engine into an error, so that one bad job does
// not end the process, which works on other jobs too.
func runEngine(ctx context.Context, e engine.Engine, job *engine.Job) (res engine.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &engine.JobError{Code: "panic", Err: fmt.Errorf("engine panicked: %v", p)}
		}
	}()
	return e.Run(ctx, job)
}

// execution is the engine's work on one attempt. It is the job's
// [engine.Runtime].
type execution struct {
	executor *executor
	attempt  *attempt
	scratch  scratch.Folder
	recorder *metrics.Recorder // nil until the execution is open
	job      *engine.Job       // nil until the execution is open
	notes    []string          // of the worker, in addition to the engine's
	lines    *joblog.Log
	log      *slog.Logger // to the lines as well
	steps    *joblog.Progress

	done chan struct{} // closed when res and err are set
	res  engine.Result
	err  error
}

// open fetches the checkpoint and starts the metrics.
func (x *execution) open(ctx context.Context) error {
	resume, err := x.fetchCheckpoint(ctx)
	if err != nil {
		return err
	}
	x.attempt.beginsAt(resume.Step)
	if err := x.startRecorder(ctx, resume); err != nil {
		return err
	}
	x.job = engine.NewJob(engine.JobConfig{
		Request:  x.attempt.req,
		Attempt:  x.attempt.number,
		Resume:   resume,
		Runtime:  x,
		Monitor:  x.attempt.progress,
		Store:    x.executor.store.LogTo(x.log),
		Sources:  x.executor.cfg.Sources,
		SaveTime: x.executor.budget.Checkpoint,
		WriteLog: x.lines.Write,
	})
	return nil
}

// fetchCheckpoint fetches the checkpoint to resume from. The started fact was
// published before the checkpoint could be verified; a note corrects it.
func (x *execution) fetchCheckpoint(ctx context.Context) (engine.Resume, error) {
	a := x.attempt
	fetched, err := checkpointing.NewLoader(a.checkpointJob(), x.executor.registry).
		Fetch(ctx, a.resumeFrom, &x.scratch, x.executor.store.LogTo(x.log).FetchCheckpoint)
	if err != nil {
		return engine.Resume{}, err
	}
	x.notes = append(x.notes, fetched.Notes...)
	if fetched.Step != a.publishedStep {
		x.notes = append(x.notes, fmt.Sprintf("attempt %d resumed from step %d; its started event names step %d",
			a.number, fetched.Step, a.publishedStep))
	}
	if fetched.Step == 0 {
		return engine.Resume{}, nil
	}
	failpoint.Here(failpoint.JobResumed)
	return engine.Resume{Step: fetched.Step, Dir: fetched.Dir}, nil
}

// startRecorder starts the metrics, with the history of the checkpoint that the
// attempt resumes from.
func (x *execution) startRecorder(ctx context.Context, resume engine.Resume) error {
	recorder, err := metrics.Start(ctx, metrics.Config{
		RunID:          x.attempt.req.RunID,
		Phase:          x.attempt.req.Phase,
		Attempt:        x.attempt.number,
		ResumedFrom:    resume.Step,
		Checkpoint:     resume.Dir,
		Folder:         &x.scratch,
		Publisher:      x.executor.journal,
		Reader:         x.executor.metrics,
		Sample:         x.executor.cfg.Sample,
		SampleInterval: x.executor.cfg.Timing.SampleInterval,
		Logger:         x.log,
	})
	if err == nil {
		x.recorder = recorder
	}
	return err
}

// ScratchPath implements [engine.Runtime].
func (x *execution) ScratchPath(name string) (string, error) { return x.scratch.Path(name) }

// RecordProgress implements [engine.Runtime].
func (x *execution) RecordProgress(ctx context.Context, step, total int64, points []events.Point) error {
	x.attempt.lastStep.Store(step)
	x.steps.Step(step, total, points)
	return x.recorder.Record(ctx, step, total, points)
}

// Announce implements [engine.Runtime].
func (x *execution) Announce(ctx context.Context, a engine.Announcement) {
	if a.Warning != "" {
		x.log.WarnContext(ctx, a.Warning)
		x.notes = append(x.notes, a.Warning)
	}
	x.recorder.Preparation.Announce(ctx, a.Done, a.Total, a.Warning)
}

// SaveCheckpoint implements [engine.Runtime]. The metric history is part of the
// checkpoint.
func (x *execution) SaveCheckpoint(ctx context.Context, step int64, dir string, keep int) error {
	if err := x.recorder.Snapshot(filepath.Join(dir, metrics.FileName)); err != nil {
		return err
	}
	return x.attempt.checkpoints.Save(ctx, step, dir, keep)
}

// IsKept implements [engine.Runtime].
func (x *execution) IsKept(step int64) bool { return x.attempt.checkpoints.IsRegistered(step) }

// StartOver implements [engine.Runtime].
func (x *execution) StartOver(ctx context.Context, why error) error {
	step := x.job.Resume.Step
	x.log.WarnContext(ctx, "checkpoint set aside; starting over", "step", step, "error", why)
	x.notes = append(x.notes, fmt.Sprintf("the checkpoint at step %d was set aside, and the work started over: %v", step, why))
	x.attempt.beginsAt(0)
	if err := x.recorder.Close(ctx); err != nil {
		return err
	}
	return x.startRecorder(ctx, engine.Resume{})
}

// result is valid once the engine is done.
func (x *execution) result() engine.Result { return x.res }

// storeHistory finishes the metric history, stores it if there is any, and adds
// it to a result.
func (x *execution) storeHistory(ctx context.Context, res *engine.Result) error {
	if x.recorder == nil {
		return nil
	}
	path, err := x.recorder.Finish(ctx)
	if err != nil || path == "" {
		return err
	}
	a, err := x.job.PutFile(ctx, events.ArtifactMetrics, "application/jsonl", path)
	if err == nil {
		res.Artifacts = append(res.Artifacts, a)
	}
	return err
}

// closeMetrics publishes the points that wait, so that the next attempt finds
// them.
func (x *execution) closeMetrics(ctx context.Context) {
	if x.recorder == nil {
		return
	}
	if err := x.recorder.Close(ctx); err != nil {
		x.attempt.log.WarnContext(ctx, "metric history not closed", "error", err)
	}
}

// discard removes the scratch folder and everything that is left of the
// execution.
func (x *execution) discard() {
	if x.recorder != nil {
		x.recorder.Discard()
	}
	if err := x.scratch.Remove(); err != nil {
		x.attempt.log.Warn("scratch folder not removed", "error", err)
	}
}

// discardWhenDone cleans up after an engine that did not stop in time.
func (x *execution) discardWhenDone() {
	<-x.done
	x.discard()
}

// wait waits for the engine, at most for extra after ctx ended, and reports
// whether the engine is done.
func (x *execution) wait(ctx context.Context, extra time.Duration) bool {
	select {
	case <-x.done:
		return true
	case <-ctx.Done():
	}
	timer := time.NewTimer(extra)
	defer timer.Stop()
	select {
	case <-x.done:
		return true
	case <-timer.C:
		return false
	}
}
