package standalone_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // the driver of S3
	"github.com/tunebus/tunebus/pipeline/cloudblob/s3test"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/gc"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
)

var (
	inputsFor  = flag.Duration("inputs-for", 0, "how long TestNoAcceptedRunMissesAnInput submits runs; 0: 40 of each client")
	inputsSeed = flag.Uint64("inputs-seed", 7, "seed of TestNoAcceptedRunMissesAnInput; 0: another one each time")
)

// writeModel makes a folder that stands for a model.
func writeModel(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// submit uploads a model for a run and requests the run.
func submit(ctx context.Context, l *standalone.Local, id, model string) (sequence uint64, err error) {
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "my model", "owner/data", "owner/data"
	s.Pipeline.EnableEvaluation = false
	r := runrequest.Request{ID: id, Specification: s, Files: map[string]string{"fine_tuner.base_model_id": model}, CopyInputs: true}
	return r.Publish(ctx, journal.New(l.Bus), runrequest.Inputs{
		Store: func(context.Context) (*artifact.Store, error) { return l.Store, nil },
	})
}

// readModel is an engine that reads the base model from its first to its last
// file.
func readModel(ctx context.Context, job *engine.Job) (engine.Result, error) {
	dir, err := job.Model(ctx, "fine_tuner.base_model_id", "my model")
	if err != nil {
		return engine.Result{}, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	return engine.Result{}, err
}

// TestOneUploadOneDownload: with a store elsewhere, two runs with one model send
// it once, and the workers of a machine fetch it once. Who sends it does not read it
// back: S3 tells the digest of what it got.
func TestOneUploadOneDownload(t *testing.T) {
	server := s3test.New(t)
	for _, variable := range server.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	e := noops()
	e[events.Finetune], e[events.Inference] = engine.Func(readModel), engine.Func(readModel)
	l := start(t, standalone.Config{Engines: e, RelaxedSync: true, Settings: settings.Settings{
		Artifacts: settings.Artifacts{URL: server.Address("models")},
		Finetune:  settings.Finetune{ModelCache: 1 << 30},
		Inference: settings.Inference{ModelCache: 1 << 30},
	}})
	weights := strings.Repeat("weights ", 1<<18)
	for _, id := range []string{"r1", "r2"} {
		if _, err := submit(t.Context(), l, id, writeModel(t, map[string]string{"config.json": "{}", "model.safetensors": weights})); err != nil {
			t.Fatal(err)
		}
		if run := ended(t, l, id, false); run.Completed.Conclusion != events.Success {
			t.Fatalf("%s ended: %+v", id, run.Phases[events.Finetune].Completed)
		}
	}
	sum := sha256.Sum256([]byte(weights))
	key := "models/content/" + hex.EncodeToString(sum[:])
	for method, want := range map[string]int{http.MethodPut: 1, http.MethodGet: 1} {
		if got := server.Requests(method, key); got != want {
			t.Errorf("%d %s of the weights, want %d", got, method, want)
		}
	}
}

// TestNoAcceptedRunMissesAnInput: people submit runs with a few models again and
// again, by uploads and by requests that only refer to what an earlier run had,
// while ended runs are removed and garbage is collected without a pause. Whatever
// is accepted finds its inputs. "make inputs" runs it for longer.
func TestNoAcceptedRunMissesAnInput(t *testing.T) {
	t.Parallel()
	const clients, runs, models = 4, 40, 50
	e := noops()
	e[events.Finetune], e[events.Inference] = engine.Func(readModel), engine.Func(readModel)
	l := start(t, standalone.Config{Engines: e, RelaxedSync: true})
	texts := func(i int) map[string]string {
		return map[string]string{"shared": "the same in all", "own": fmt.Sprint("model ", i%models), "other": fmt.Sprint("other ", i%2)}
	}
	ctx, stop := context.WithCancel(t.Context())
	var collector sync.WaitGroup
	removed, collections := 0, 0
	var accepted, deleted, gone atomic.Int64
	collector.Go(func() {
		for ctx.Err() == nil {
			// Content is old after a moment, so that there is much to collect. A reservation
			// lasts as long, which is enough for a request of such small models.
			report, err := gc.New(l.Bus, l.Store, gc.Options{ContentGrace: 1500 * time.Millisecond, StoreConfirmed: true}).Run(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			removed += report.Removed.Count
			collections++
		}
	})
	var submitters sync.WaitGroup
	began, seed := time.Now(), *inputsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	goesOn := func(i int) bool {
		if *inputsFor > 0 {
			return time.Since(began) < *inputsFor && !t.Failed()
		}
		return i < runs
	}
	for p := range clients {
		dice := rand.New(rand.NewPCG(uint64(p), seed))
		submitters.Go(func() {
			var earlier []events.Inputs
			for i := 0; goesOn(i); i++ {
				id := fmt.Sprintf("p%d-%d", p, i)
				var sequence uint64
				var err error
				plain := len(earlier) > 0 && dice.IntN(3) == 0
				if plain { // a plain client refers to what it saw
					var m codec.Message
					m, err = journal.New(l.Bus).Publish(t.Context(), events.PipelineRequested{
						RunID: id, Inputs: earlier[dice.IntN(len(earlier))],
						Specification: []byte(`{"fine_tuner":{"base_model_id":"my model","training_data_id":"owner/data"},"inferencer":{"testing_data_id":"owner/data"},"pipeline":{"enable_evaluation":false}}`),
					}, journal.Fence{})
					sequence = m.Sequence
				} else {
					sequence, err = submit(t.Context(), l, id, writeModel(t, texts(dice.IntN(1000))))
				}
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				_, err = runwatch.On(l.Bus).Decision(t.Context(), id, sequence)
				if rejected, ok := errors.AsType[*runwatch.RejectedError](err); ok && plain {
					if !strings.Contains(rejected.Error(), "does not hold it") { // it was gone already
						t.Errorf("%s: %v", id, rejected)
					}
					gone.Add(1)
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				accepted.Add(1)
				run := ended(t, l, id, false)
				if run.Completed.Conclusion != events.Success {
					for phase, state := range run.Phases {
						t.Errorf("%s ended with %s in %s: %+v", id, run.Completed.Conclusion, phase, state.Completed)
					}
				}
				earlier = append(earlier, run.Accepted.Inputs)
				if len(earlier) > 100 { // what is long gone is not worth another request
					earlier = earlier[50:]
				}
				if dice.IntN(10) > 0 { // the run is deleted, so that most models are soon in no run
					deleted.Add(1)
					h, err := history.New(l.Bus).RunHistory(t.Context(), id)
					if err == nil {
						err = history.New(l.Bus).PurgeRun(t.Context(), id, h.Last)
					}
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	submitters.Wait()
	stop()
	collector.Wait()
	t.Logf("seed %d, %s: %d runs were accepted, %d of them deleted; %d collections removed %d objects; %d requests were rejected, since they referred to some of these",
		seed, time.Since(began).Round(time.Second), accepted.Load(), deleted.Load(), collections, removed, gone.Load())
	if removed == 0 {
		t.Error("nothing was collected, which says nothing")
	}
}
