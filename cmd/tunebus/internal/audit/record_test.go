package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/tracker"
)

// run is the id of the recorded run. Its training has that many steps and saves
// a checkpoint every save steps.
const (
	run   = "recorded"
	steps = 10
	save  = 3
)

// recording is what a pipeline left behind: the state of the server, and the
// folders.
type recording struct {
	state snapshot.State
	dir   string
}

// read returns the state of the server and of the folders.
func (b recording) read(t *testing.T) snapshot.State {
	t.Helper()
	s := b.state
	for _, err := range []error{
		snapshot.ReadArtifacts(filepath.Join(b.dir, "data", "artifacts"), &s),
		snapshot.ReadMLflow(filepath.Join(b.dir, "mlruns"), &s),
		snapshot.ReadReports(filepath.Join(b.dir, "reports"), &s),
		snapshot.ReadScratch(filepath.Join(b.dir, "data", "scratch"), &s),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// copy returns a copy that a test may damage.
func (b recording) copy(t *testing.T) recording {
	t.Helper()
	c := recording{dir: t.TempDir()}
	for _, folder := range []string{"data/artifacts", "mlruns", "reports", "data/scratch"} {
		if err := os.CopyFS(filepath.Join(c.dir, folder), os.DirFS(filepath.Join(b.dir, folder))); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(b.state)
	if err == nil {
		err = json.Unmarshal(body, &c.state)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// train is an engine whose first attempt is stopped after a checkpoint. The
// second attempt resumes from there.
func train(halfway chan<- struct{}) engine.Func {
	return func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		for step := job.Resume.Step + 1; step <= steps; step++ {
			if err := job.Progress(ctx, step, steps, events.Point{Key: "loss", Value: 1 / float64(step)}); err != nil {
				return engine.Result{}, err
			}
			if step%save == 0 {
				dir, err := job.Scratch("checkpoint-" + strconv.FormatInt(step, 10))
				if err == nil {
					err = os.Mkdir(dir, 0o750)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "weights"), fmt.Append(nil, step), 0o600)
				}
				if err == nil {
					err = job.Checkpoint(ctx, step, dir, 1)
				}
				if err != nil {
					return engine.Result{}, err
				}
			}
			if job.Attempt == 1 && step == save+2 {
				close(halfway)
				<-ctx.Done()
				return engine.Result{}, ctx.Err()
			}
		}
		a, err := store(ctx, job, events.ArtifactModel, "model.txt", "the model")
		return engine.Result{Artifacts: []events.Artifact{a}, Statistics: map[string]float64{"total_training_steps": steps}}, err
	}
}

func answer(ctx context.Context, job *engine.Job) (engine.Result, error) {
	a, err := store(ctx, job, events.ArtifactPredictions, prediction.FileName,
		`{"index":0,"question":"q","ground_truth":"a b c","answer":"a b d"}`+"\n")
	return engine.Result{Artifacts: []events.Artifact{a}}, err
}

func store(ctx context.Context, job *engine.Job, name, file, content string) (events.Artifact, error) {
	path, err := job.Scratch(file)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o600)
	}
	if err != nil {
		return events.Artifact{}, err
	}
	return job.PutFile(ctx, name, "text/plain", path)
}

// record runs a small pipeline in which fine-tuning is stopped and resumed, and a
// request that is rejected. It returns what they leave behind.
func record(t *testing.T) recording {
	t.Helper()
	b := recording{dir: t.TempDir()}
	halfway := make(chan struct{})
	cfg := standalone.Config{
		Settings: settings.Settings{
			Data:    settings.Data{Folder: filepath.Join(b.dir, "data")},
			Tracker: settings.Tracker{TrackingURI: "file://" + b.dir + "/mlruns", Reports: filepath.Join(b.dir, "reports")},
		},
		Listen: "127.0.0.1:0", RelaxedSync: true, Topology: topology.Topology{AckWait: 2 * time.Second},
		Engines: map[events.Phase]engine.Engine{
			events.Finetune: train(halfway), events.Inference: engine.Func(answer), events.Evaluation: evaluation.Engine{},
		},
		Tracker: func(c *tracker.Config) { c.QuietPeriod = 50 * time.Millisecond },
	}
	l := start(t, cfg)
	for _, req := range []events.PipelineRequested{
		{RunID: run, Specification: specification(t, "owner/model")},
		{RunID: "refused", Specification: specification(t, "nowhere")},
	} {
		if _, err := journal.New(l.Bus).Publish(t.Context(), req, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	<-halfway
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	l = start(t, cfg)
	defer func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	}()
	read := func() snapshot.State {
		s := snapshot.State{}
		if err := snapshot.ReadStreams(t.Context(), l.URL(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if b.state = read(); settled(b.state) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the recorded run does not end: %v", audit.Check(b.read(t)))
		}
		<-tick.C
	}
	for i := range b.state.Facts { // so that a test can add facts between two others
		b.state.Facts[i].Sequence *= 10
	}
	return b
}

func start(t *testing.T, cfg standalone.Config) *standalone.Local {
	t.Helper()
	l, err := standalone.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func specification(t *testing.T, model string) json.RawMessage {
	t.Helper()
	body, err := json.Marshal(map[string]map[string]any{
		"fine_tuner": {"base_model_id": model, "training_data_id": "owner/data", "save_steps": save, "log_steps": 1},
		"inferencer": {"testing_data_id": "owner/data"}, "evaluator": {"metrics": []string{"exact_match"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// settled reports whether everything was tracked and every message settled.
func settled(s snapshot.State) bool {
	tracked := false
	for _, m := range s.Facts {
		tracked = tracked || m.Subject == "tracking.completed."+run
	}
	for _, c := range s.Consumers {
		tracked = tracked && c.Unsettled() == 0
	}
	// A tracker holds the lease of the list of runs for as long as it runs.
	return tracked && !slices.ContainsFunc(s.Keys["tunebus_leases"], func(key string) bool { return key != "run_index" })
}
