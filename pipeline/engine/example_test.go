package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// Countdown is an engine that works three steps and saves a checkpoint after
// each.
type Countdown struct{}

func (Countdown) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	const steps = 3
	if job.Request.Specification.FineTuner.BaseModelID == "" {
		return engine.Result{}, engine.Permanent("missing_input", errors.New("fine_tuner.base_model_id is empty"))
	}
	for step := job.Resume.Step + 1; step <= steps; step++ {
		loss := 1 / float64(step)
		if err := job.Progress(ctx, step, steps, events.Point{Key: "loss", Value: loss}); err != nil {
			return engine.Result{}, err
		}
		err := job.WriteCheckpoint(ctx, step, 2, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "loss"), fmt.Append(nil, loss), 0o600)
		})
		if err != nil {
			return engine.Result{}, err
		}
	}
	path, err := job.Scratch("model.txt")
	if err != nil {
		return engine.Result{}, err
	}
	if err := os.WriteFile(path, []byte("weights"), 0o600); err != nil {
		return engine.Result{}, err
	}
	model, err := job.PutFile(ctx, events.ArtifactModel, "text/plain", path)
	return engine.Result{Artifacts: []events.Artifact{model}}, err
}

// An engine works without a worker too: a test gives it a job with a runtime
// and a store of its own. This job resumes after step 1.
func Example() {
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	request := events.PhaseRequested{RunID: "quiet-otter-7", Phase: events.Finetune}
	request.Specification.FineTuner.BaseModelID = "owner/model"
	job := engine.NewJob(engine.JobConfig{
		Request: request,
		Attempt: 2,
		Resume:  engine.Resume{Step: 1, Dir: dir},
		Runtime: printer{dir},
		Store:   keys{},
	})
	res, err := Countdown{}.Run(context.Background(), job)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Artifacts[0].Name, res.Artifacts[0].Reference.Key)
	// Output:
	// step 2 of 3: loss 0.50
	// checkpoint at step 2
	// step 3 of 3: loss 0.33
	// checkpoint at step 3
	// model runs/quiet-otter-7/finetune/2/model.txt
}

// printer is a runtime that prints what the engine reports.
type printer struct{ dir string }

func (p printer) ScratchPath(name string) (string, error) { return filepath.Join(p.dir, name), nil }

func (p printer) RecordProgress(_ context.Context, step, total int64, points []events.Point) error {
	fmt.Printf("step %d of %d: %s %.2f\n", step, total, points[0].Key, points[0].Value)
	return nil
}

func (p printer) SaveCheckpoint(_ context.Context, step int64, _ string, _ int) error {
	fmt.Println("checkpoint at step", step)
	return nil
}

func (p printer) StartOver(context.Context, error) error { return nil }

func (p printer) Announce(context.Context, engine.Announcement) {}

func (p printer) IsKept(int64) bool { return true }

func (p printer) WriteLog(_, text string) string { return text }

// keys is a store that keeps nothing.
type keys struct{}

func (keys) PutFile(_ context.Context, key, mediaType, _ string) (events.Reference, error) {
	return events.Reference{Key: key, MediaType: mediaType}, nil
}

func (keys) PutDir(_ context.Context, key, _ string) (events.Reference, error) {
	return events.Reference{Key: key}, nil
}

func (keys) Fetch(context.Context, events.Reference, string) error    { return nil }
func (keys) FetchDir(context.Context, events.Reference, string) error { return nil }
