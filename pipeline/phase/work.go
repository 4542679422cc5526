package phase

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// work lets the engine work and ends the attempt by what came of it.
func (w *Worker) work(ctx, end context.Context, c claim, checkpoint bus.Checkpoint) error {
	workCtx, watch := w.watch(ctx, c)
	o := w.engage(workCtx, w.newJob(c), checkpoint)
	if !o.wait(ctx, w.cfg.Grace/2) {
		watch.stop()
		w.log(end, slog.LevelWarn, c, "the engine does not stop; the job is given back without it")
		go o.abandoned() // ends with the engine, at the latest with the process
		return w.ended(end, c, events.EndShutdown, nil, o.job.lastStep())
	}
	why := context.Cause(workCtx)
	watch.stop()
	defer o.job.clean()
	failpoint.Here(failpoint.JobDone)
	closing := end
	if o.err != nil { // a cancel, or the next attempt, does not wait for a store that is away
		var cancel context.CancelFunc
		closing, cancel = context.WithTimeout(end, time.Second)
		defer cancel()
	}
	metrics, merr := o.job.close(closing)
	if o.err == nil && merr == nil {
		if metrics != nil {
			o.res.Artifacts = append(o.res.Artifacts, *metrics)
		}
		return w.complete(end, c, o.res, events.Success, nil)
	}
	switch {
	case errors.Is(why, errLost):
		return w.letGo(end, c)
	case errors.Is(why, errCancelled):
		return w.complete(end, c, Result{}, events.Cancelled, nil)
	case ctx.Err() != nil:
		return w.ended(end, c, events.EndShutdown, nil, o.job.lastStep())
	}
	err := errors.Join(o.err, merr)
	tries, _ := w.limits(c.req)
	if state := c.run.Phases[c.req.Phase]; permanent(err) || state.Tries()+1 >= tries {
		return w.complete(end, c, Result{}, events.Failure, err)
	}
	return w.ended(end, c, events.EndError, err, o.job.lastStep())
}

// outcome is what an engine made of a job, once done is closed.
type outcome struct {
	job  *Job
	done chan struct{}
	res  Result
	err  error
}

// engage lets the engine work on a job.
func (w *Worker) engage(ctx context.Context, job *Job, checkpoint bus.Checkpoint) *outcome {
	o := &outcome{job: job, done: make(chan struct{})}
	go func() { // ends with the engine, which work waits for
		defer close(o.done)
		if o.err = job.open(ctx, checkpoint); o.err == nil {
			o.res, o.err = guarded(ctx, w.engine, job)
		}
	}()
	return o
}

// wait waits for the engine, but no longer than patience after ctx ended, and
// reports whether it is done.
func (o *outcome) wait(ctx context.Context, patience time.Duration) bool {
	select {
	case <-o.done:
		return true
	case <-ctx.Done():
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	select {
	case <-o.done:
		return true
	case <-over.C:
		return false
	}
}

// abandoned cleans up behind an engine that did not stop in time.
func (o *outcome) abandoned() {
	<-o.done
	o.job.discard()
}
