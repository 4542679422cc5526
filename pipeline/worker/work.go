package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

const (
	// stopTime is how long an engine has to stop before its phase ends
	// without it, and keepTime how long the metric history has to be stored of
	// a phase that did not succeed. Together they are less than the second
	// that intake waits for the holder of a job that is to be cancelled.
	stopTime = 500 * time.Millisecond
	keepTime = 300 * time.Millisecond
)

var errWorking = errors.New("the engine has not answered yet")

// work lets the engine work and ends the attempt by what came of it. An engine
// that does not stop holds up neither its phase nor the end of the process. It
// holds its slot, so that the next job does not find it in its way.
func (w *Worker) work(ctx, end context.Context, c *claim, checkpoint checkpoint.Checkpoint) error {
	at := w.watch(ctx, end, c)
	defer at.stop()
	o := w.engage(at, w.newJob(c), checkpoint)
	stopping, done := outlive(ctx, w.cfg.Grace/2) // at a shutdown, for a last checkpoint
	defer done()
	if o.wait(at.work, min(stopTime, w.cfg.Grace/2)) {
		return w.conclude(end, c, o, classify(o.err, context.Cause(at.work)))
	}
	v := classify(errWorking, context.Cause(at.work))
	if v.class == cancelled || v.class == permanent {
		w.log(end, slog.LevelWarn, c, "the engine does not stop; its phase ends without it, its slot waits for it", "cause", v.class)
		err := w.conclude(end, c, nil, v)
		if o.wait(stopping, 0) {
			o.job.discard()
		} else {
			go o.abandoned() // as below
		}
		return err
	}
	if o.wait(stopping, 0) {
		return w.conclude(end, c, o, classify(o.err, context.Cause(at.work)))
	}
	w.log(end, slog.LevelWarn, c, "the engine does not stop; the job is given back without it")
	go o.abandoned() // ends with the engine, at the latest with the process
	return w.conclude(end, c, nil, v)
}

// conclude ends an attempt by a verdict. o is what the engine made; nil if
// there is none, or it is still at work.
func (w *Worker) conclude(ctx context.Context, c *claim, o *outcome, v verdict) error {
	if o != nil {
		defer o.job.discard()
	}
	switch v.class {
	case succeeded:
		return w.complete(ctx, c, o.res, events.Success, nil)
	case lost:
		return w.letGo(ctx, c)
	case shutdown:
		return w.ended(ctx, c, o, events.EndShutdown, nil)
	case cancelled:
		return w.complete(ctx, c, w.remains(ctx, c, o), events.Cancelled, nil)
	case again:
		if c.run.Phases[c.req.Phase].Tries()+1 < c.policy.tries {
			return w.ended(ctx, c, o, events.EndError, v.err)
		}
	}
	return w.complete(ctx, c, w.remains(ctx, c, o), events.Failure, v.err)
}

// remains is what is kept of a phase that did not succeed: its metric history,
// if the store takes it at once.
func (w *Worker) remains(ctx context.Context, c *claim, o *outcome) Result {
	var res Result
	if o == nil {
		return res
	}
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	if err := o.job.keepHistory(ctx, &res); err != nil {
		w.log(ctx, slog.LevelWarn, c, "metric history not kept", "error", err)
	}
	return res
}

// outcome is what an engine made of a job, once done is closed.
type outcome struct {
	job  *Job
	done chan struct{}
	res  Result
	err  error
}

// engage lets the engine work on a job. What it made is only whole with the
// metric history.
func (w *Worker) engage(at *watcher, job *Job, checkpoint checkpoint.Checkpoint) *outcome {
	o := &outcome{job: job, done: make(chan struct{})}
	go func() { // ends with the engine, which work waits for
		defer close(o.done)
		if o.err = job.open(at.work, checkpoint); o.err == nil {
			o.res, o.err = guarded(at.work, w.engine, job)
		}
		failpoint.Here(failpoint.JobDone)
		o.res.Notes = append(o.res.Notes, job.notes...)
		if o.err == nil {
			o.err = job.keepHistory(at.held, &o.res)
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
