package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Job is one attempt at a phase, as its engine sees it.
type Job struct {
	Request events.PhaseRequested
	// Attempt is the attempt's number, from 1.
	Attempt int
	// Resume is where to continue; its Step is 0 at the start.
	Resume Resume

	runtime  Runtime
	monitor  *progress.Monitor
	store    Store
	sources  Sources
	saveTime time.Duration
}

// Resume is a checkpoint of an earlier attempt, fetched and verified.
type Resume struct {
	Step int64
	// Dir holds the files that were given to [Job.Checkpoint]. It is empty
	// without a checkpoint.
	Dir string
}

// Runtime is the part of a worker that serves one job. The methods of [Job] that
// call it say what each has to do.
type Runtime interface {
	ScratchPath(name string) (string, error)
	RecordProgress(ctx context.Context, step, total int64, points []events.Point) error
	SaveCheckpoint(ctx context.Context, step int64, dir string, keep int) error
	StartOver(ctx context.Context, why error) error
	Announce(ctx context.Context, a Announcement)
	IsKept(step int64) bool
	WriteLog(level, text string) string
}

// JobConfig is what a worker makes a job of.
type JobConfig struct {
	Request events.PhaseRequested
	Attempt int
	Resume  Resume
	Runtime Runtime
	// Monitor watches the progress of the job; nil: nobody does.
	Monitor *progress.Monitor
	Store   Store
	Sources Sources
	// SaveTime limits the last checkpoint at a shutdown, see [Job.Saving].
	SaveTime time.Duration
}

// NewJob returns a job for an engine to work on.
func NewJob(c JobConfig) *Job {
	return &Job{
		Request:  c.Request,
		Attempt:  c.Attempt,
		Resume:   c.Resume,
		runtime:  c.Runtime,
		monitor:  c.Monitor,
		store:    c.Store,
		sources:  c.Sources,
		saveTime: c.SaveTime,
	}
}

// Scratch returns the path of a file or folder called name in the attempt's
// own scratch folder. The folder is made at the first call and removed with its
// content when the attempt ends. The engine chooses the name; it must not come
// out of an event.
func (j *Job) Scratch(name string) (string, error) { return j.runtime.ScratchPath(name) }

// Progress reports how far the work is. total is 0 if it is unknown. The points
// of all steps become the phase's metric history; only a few messages a second
// are published on the way. A point without a step or a time gets those of the
// call. Each call counts as a step of the stage.
func (j *Job) Progress(ctx context.Context, step, total int64, points ...events.Point) error {
	j.monitor.Step()
	return j.runtime.RecordProgress(ctx, step, total, points)
}

// Checkpoint stores a folder from which a later attempt can continue after
// step. The newest checkpoints, keep of them, stay until the phase is
// completed; a keep below 1 means as many as possible. A checkpoint that cannot
// be stored is no error, since it costs work only if the attempt breaks off.
// The error is not nil when a newer attempt has taken the job over.
func (j *Job) Checkpoint(ctx context.Context, step int64, dir string, keep int) error {
	ctx, saving := progress.Enter(ctx, progress.Save)
	defer saving.End()
	return j.runtime.SaveCheckpoint(ctx, step, dir, keep)
}

// Saving returns the context under which a checkpoint may be saved. It ends with
// ctx, except at a shutdown: then it lives for a while longer, but ends before
// the process has to exit, so that neither a save that is under way nor a last
// one is cut off. ok is false where no attempt will resume from the checkpoint,
// because the job was lost, cancelled or given up. done has to be called.
func (j *Job) Saving(ctx context.Context) (saving context.Context, done context.CancelFunc, ok bool) {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrShutdown) {
		return ctx, func() {}, false
	}
	saving, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), ErrShutdown) {
			limit := time.NewTimer(j.saveTime)
			defer limit.Stop()
			select {
			case <-limit.C:
			case <-saving.Done():
			}
		}
		cancel(context.Cause(ctx))
	})
	return saving, func() {
		stop()
		cancel(nil)
	}, true
}

// WriteCheckpoint has write fill an empty folder, saves that as [Job.Checkpoint]
// does, and removes it. It works after a shutdown too, see [Job.Saving]; where
// no attempt will resume from the checkpoint it does nothing.
func (j *Job) WriteCheckpoint(ctx context.Context, step int64, keep int, write func(dir string) error) error {
	ctx, done, ok := j.Saving(ctx)
	defer done()
	if !ok {
		return nil
	}
	ctx, saving := progress.Enter(ctx, progress.Save)
	defer saving.End()
	dir, err := j.Scratch("checkpoint-" + strconv.FormatInt(step, 10))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	named := progress.Doing(ctx, fmt.Sprintf("writing the checkpoint of step %d to the scratch folder", step))
	err = write(dir)
	named()
	if err != nil {
		return err
	}
	if err := j.Checkpoint(ctx, step, dir, keep); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// StartOver drops the checkpoint that the attempt was to resume from, because
// the engine cannot use it; why is the reason. Only an engine that has done no
// work yet may call it. From then on the job has nothing to resume.
func (j *Job) StartOver(ctx context.Context, why error) error {
	err := j.runtime.StartOver(ctx, why)
	j.Resume = Resume{}
	return err
}
