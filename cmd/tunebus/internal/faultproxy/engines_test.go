package faultproxy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/evaluation"
)

// The runs of a scenario. The engines tell them by their ids.
const (
	plain    = "plain"    // nothing special
	retried  = "retried"  // the first attempt at each phase fails
	taken    = "taken"    // its fine-tuning worker dies after a checkpoint
	canceled = "canceled" // a person cancels it
	overdue  = "overdue"  // its deadline cancels it
	again    = "again"    // repeats plain from the inference on
)

// steps is how many steps each phase has; a checkpoint is saved after half of
// them.
const steps = 4

// lostWorker is the engine of the worker that is going to die.
func lostWorker(ctx context.Context, job *engine.Job) (engine.Result, error) {
	return work(ctx, job, job.Request.RunID == taken)
}

// survivor is the engine of all other workers.
func survivor(ctx context.Context, job *engine.Job) (engine.Result, error) {
	return work(ctx, job, false)
}

// work works on a job. If it is to wait, it does so before its end, behind all
// steps.
func work(ctx context.Context, job *engine.Job, wait bool) (engine.Result, error) {
	run, p := job.Request.RunID, job.Request.Phase
	first := int64(1)
	if job.Resume.Dir != "" {
		text, err := os.ReadFile(filepath.Join(job.Resume.Dir, "step"))
		if err != nil {
			return engine.Result{}, err
		}
		step, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return engine.Result{}, err
		}
		first = step + 1
	}
	for step := first; step <= steps; step++ {
		if err := job.Progress(ctx, step, steps, events.Point{Key: "loss", Value: float64(step)}); err != nil {
			return engine.Result{}, err
		}
		if step == steps/2 {
			err := job.WriteCheckpoint(ctx, step, 1, func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "step"), strconv.AppendInt(nil, step, 10), 0o600)
			})
			if err != nil {
				return engine.Result{}, err
			}
			if run == retried && job.Attempt == 1 {
				return engine.Result{}, errors.New("this attempt fails")
			}
		}
	}
	if wait || p == events.Finetune && (run == canceled || run == overdue) {
		<-ctx.Done()
		return engine.Result{}, context.Cause(ctx)
	}
	return result(ctx, job)
}

// result makes what a phase hands on. The scores are those of the real engine.
func result(ctx context.Context, job *engine.Job) (engine.Result, error) {
	if job.Request.Phase == events.Evaluation {
		job.Resume = engine.Resume{}
		return evaluation.Engine{SaveEvery: time.Hour}.Run(ctx, job)
	}
	path, err := job.Scratch("result")
	if err != nil {
		return engine.Result{}, err
	}
	row := `{"index":0,"question":"q","ground_truth":"a b","answer":"a c"}` + "\n"
	if err := os.WriteFile(path, []byte(row), 0o600); err != nil {
		return engine.Result{}, err
	}
	name := events.ArtifactModel
	if job.Request.Phase == events.Inference {
		name = events.ArtifactPredictions
	}
	a, err := job.PutFile(ctx, name, prediction.MediaType, path)
	return engine.Result{Artifacts: []events.Artifact{a}}, err
}
