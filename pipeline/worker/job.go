package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Job is one attempt at a phase, in an engine's hands.
type Job struct {
	Request events.PhaseRequested
	// Attempt is the attempt's number, from 1.
	Attempt int
	// Resume is what to go on from; its Step is 0 at the start.
	Resume Resume

	worker  *Worker
	claim   *claim
	notes   []string // of the job's own, beside the engine's
	scratch scratch
	meter   *meter
}

// Resume is a checkpoint of an earlier attempt, fetched and verified.
type Resume struct {
	Step int64
	// Dir holds what [Job.Checkpoint] was given; empty without a checkpoint.
	Dir string
}

func (w *Worker) newJob(c *claim) *Job {
	return &Job{
		Request: c.req, Attempt: c.attempt, worker: w, claim: c,
		scratch: scratch{parent: w.cfg.Scratch, phase: c.req.Phase},
	}
}

// open fetches what the attempt goes on from and starts the metering.
func (j *Job) open(ctx context.Context, cp checkpoint.Checkpoint) error {
	if err := j.resume(ctx, cp); err != nil {
		return err
	}
	j.claim.step.Store(j.Resume.Step)
	meter, err := newMeter(ctx, j.worker, j.claim, &j.scratch, j.Resume.Step)
	j.meter = meter
	return err
}

// resume fetches the newest checkpoint of the attempts before that is whole,
// with the metric history up to it. A damaged one costs work, never truth; a
// store that cannot be read now is no reason to start over.
func (j *Job) resume(ctx context.Context, newest checkpoint.Checkpoint) error {
	for _, cp := range newest.History() {
		dir, err := j.Scratch("resume-" + strconv.FormatInt(cp.Step, 10))
		if err != nil {
			return err
		}
		err = j.patiently(ctx, "fetch the checkpoint", func() error { return transfer.New(j.worker.store).FetchDir(ctx, cp.Reference, dir) })
		switch {
		case err == nil:
			return j.resumeFrom(cp.Step, dir)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !unusable(err):
			return fmt.Errorf("checkpoint at step %d: %w", cp.Step, err)
		}
		j.worker.log(ctx, slog.LevelWarn, j.claim, "checkpoint unusable; going on from an older one, or from the start", "step", cp.Step, "error", err)
	}
	return nil
}

// unusable reports whether a checkpoint will not become readable.
func unusable(err error) bool {
	var corrupt *artifact.CorruptError
	var elsewhere *artifact.WrongStoreError
	return errors.Is(err, artifact.ErrNotFound) || errors.As(err, &corrupt) || errors.As(err, &elsewhere)
}

func (j *Job) resumeFrom(step int64, dir string) error {
	history, err := j.Scratch(metricsFile)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, metricsFile), history); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("metric history of the checkpoint: %w", err)
	}
	failpoint.Here(failpoint.JobResumed)
	j.Resume = Resume{Step: step, Dir: dir}
	return nil
}

// StartOver sets aside what the attempt was to go on from, since it is of no
// use to the engine for the reason that why says. It is for an engine that has
// done nothing yet; from here on the job has nothing to resume.
func (j *Job) StartOver(ctx context.Context, why error) error {
	j.worker.log(ctx, slog.LevelWarn, j.claim, "checkpoint set aside; starting over", "step", j.Resume.Step, "error", why)
	j.notes = append(j.notes, fmt.Sprintf("the checkpoint at step %d was set aside, and the work started over: %v", j.Resume.Step, why))
	j.Resume = Resume{}
	j.claim.step.Store(0)
	if _, err := j.meter.close(ctx); err != nil {
		return err
	}
	meter, err := newMeter(ctx, j.worker, j.claim, &j.scratch, 0)
	if err == nil {
		j.meter = meter
	}
	return err
}

// Scratch is the path of a file or folder called name in the attempt's own
// scratch folder, which is made at the first call and removed with all that
// is in it when the attempt ends. name is the caller's own, never one out of
// an event.
func (j *Job) Scratch(name string) (string, error) { return j.scratch.path(name) }

// Key is the store key of an artifact of this attempt.
func (j *Job) Key(name string) (string, error) {
	return artifact.Key(j.Request.RunID, j.Request.Phase, j.Attempt, name)
}

// PutFile stores a file as the artifact called name. A store that is full or
// away is asked again, see [Config.Patience].
func (j *Job) PutFile(ctx context.Context, name, mediaType, path string) (events.Artifact, error) {
	key, err := j.Key(filepath.Base(path))
	if err != nil {
		return events.Artifact{}, err
	}
	var ref events.Reference
	err = j.patiently(ctx, "store "+name, func() (err error) {
		ref, err = transfer.New(j.worker.store).PutFile(ctx, key, mediaType, path)
		return err
	})
	if err != nil {
		return events.Artifact{}, fmt.Errorf("store %s: %w", name, err)
	}
	return events.Artifact{Name: name, Reference: ref}, nil
}

// PutDir stores a folder as the artifact called name, with the same patience.
func (j *Job) PutDir(ctx context.Context, name, dir string) (a events.Artifact, err error) {
	err = j.patiently(ctx, "store "+name, func() (err error) {
		a, err = j.putDir(ctx, name, dir)
		return err
	})
	return a, err
}

// putDir asks the store once.
func (j *Job) putDir(ctx context.Context, name, dir string) (events.Artifact, error) {
	key, err := j.Key(name + ".tar")
	if err != nil {
		return events.Artifact{}, err
	}
	ref, err := transfer.New(j.worker.store).PutDir(ctx, key, dir)
	if err != nil {
		return events.Artifact{}, fmt.Errorf("store %s: %w", name, err)
	}
	return events.Artifact{Name: name, Reference: ref}, nil
}

// Fetch copies an artifact to a file of the scratch folder and returns its
// path, with the same patience. name is the caller's own, never one out of an
// event.
func (j *Job) Fetch(ctx context.Context, ref events.Reference, name string) (string, error) {
	path, err := j.Scratch(name)
	if err != nil {
		return "", err
	}
	return path, j.patiently(ctx, "fetch "+ref.Key, func() error { return transfer.New(j.worker.store).Fetch(ctx, ref, path) })
}

// FetchDir unpacks an artifact that is a folder into the scratch folder and
// returns the folder's path.
func (j *Job) FetchDir(ctx context.Context, ref events.Reference, name string) (string, error) {
	path, err := j.Scratch(name)
	if err != nil {
		return "", err
	}
	return path, j.patiently(ctx, "fetch "+ref.Key, func() error { return transfer.New(j.worker.store).FetchDir(ctx, ref, path) })
}

// Progress tells how far the work is. total is 0 if nobody knows. Points of
// all steps become the run's metric history; what is announced on the way is
// thinned out to a few messages a second.
func (j *Job) Progress(ctx context.Context, step, total int64, points ...events.Point) error {
	j.claim.step.Store(step)
	return j.meter.add(ctx, step, total, points)
}

// Checkpoint stores a folder from which a later attempt can go on after step,
// and keeps the newest ones, keep of them, until the phase is completed; less
// than 1 is as many as possible. The error is a [*checkpoint.SupersededError] when a newer
// attempt has taken the job over.
func (j *Job) Checkpoint(ctx context.Context, step int64, dir string, keep int) error {
	return j.worker.saveCheckpoint(ctx, j, step, dir, keep)
}

// keepHistory ends the metering, stores the metric history, if there is any,
// and adds it to what the job made.
func (j *Job) keepHistory(ctx context.Context, res *Result) error {
	if j.meter == nil { // it was never opened
		return nil
	}
	some, err := j.meter.close(ctx)
	if err != nil || !some {
		return err
	}
	if j.Attempt > 1 {
		if err := j.meter.agree(ctx); err != nil {
			return err
		}
	}
	path, err := j.Scratch(metricsFile)
	if err != nil {
		return err
	}
	a, err := j.PutFile(ctx, ArtifactMetrics, "application/jsonl", path)
	if err == nil {
		res.Artifacts = append(res.Artifacts, a)
	}
	return err
}

// finish ends the metering of a job that another attempt goes on with; what
// waits is announced, so that it is found there.
func (j *Job) finish(ctx context.Context) {
	if j.meter == nil {
		return
	}
	if _, err := j.meter.close(ctx); err != nil {
		j.worker.log(ctx, slog.LevelWarn, j.claim, "metric history not ended well", "error", err)
	}
}

// clean removes the scratch folder.
func (j *Job) clean() {
	if err := j.scratch.remove(); err != nil {
		j.worker.cfg.Logger.Warn("scratch folder not removed", "run", j.Request.RunID, "error", err)
	}
}

// discard ends a job of which nothing is kept.
func (j *Job) discard() {
	if j.meter != nil {
		j.meter.discard()
	}
	j.clean()
}

// ArtifactMetrics is the metric history: one [events.Point] as JSON a line.
const ArtifactMetrics = "metrics"

const metricsFile = "metrics.jsonl"
