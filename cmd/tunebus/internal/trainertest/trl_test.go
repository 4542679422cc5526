//go:build trl

package trainertest

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
)

// python is the interpreter of the environment of the engine trl.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TUNEBUS_TEST_TRL_PYTHON")
	if path == "" {
		t.Fatal("TUNEBUS_TEST_TRL_PYTHON names no interpreter; use make test-trl")
	}
	return path
}

// full skips what takes long, unless it is asked for.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("TUNEBUS_TEST_FULL") == "" {
		t.Skip("make test-trl FULL=1 runs it") // it takes minutes, which CI does not have
	}
}

// trlSettings are settings of a worker whose engine is trl.
func trlSettings(t *testing.T) []string {
	t.Helper()
	return []string{
		"TUNEBUS_SERVICES_FINETUNE_COMMAND=" + python(t) + ",-m,tunebus_trainer",
		"TUNEBUS_SERVICES_FINETUNE_QUEUE=trl", "TUNEBUS_SERVICES_FINETUNE_SLOTS=1", "TUNEBUS_SERVICES_FINETUNE_GRACE=2m",
		"PYTHONPATH=" + filepath.Join(processes.Root(), "trainers", "python"), "OMP_NUM_THREADS=1",
	}
}

// weights are the digests of the weights in a model, by the names of their files.
func weights(t *testing.T, store string, model events.Reference) map[string]string {
	t.Helper()
	opened, err := artifact.Open(t.Context(), "file://"+store)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	dir := filepath.Join(t.TempDir(), "model")
	if err := transfer.New(opened).FetchDir(t.Context(), model, dir); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(found) == 0 {
		t.Fatalf("the model has no weights: %v", err)
	}
	out := map[string]string{}
	for _, path := range found {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(path)] = fmt.Sprintf("%x", sha256.Sum256(body))
	}
	return out
}

// ended waits for the end of a run, and returns it with the digests of its weights.
func (d *deployment) ended(t *testing.T, id string) (events.Run, map[string]string) {
	t.Helper()
	var r events.Run
	processes.Eventually(t, 15*time.Minute, id+" ends", func() error {
		if r = d.run(t, id); r.Completed == nil {
			return errors.New("not yet")
		}
		return nil
	})
	done := r.Phases[events.Finetune].Completed
	model, ok := done.Artifact(events.ArtifactModel)
	if !ok {
		t.Fatalf("%s ended %s: %+v", id, done.Conclusion, done.Error)
	}
	return r, weights(t, filepath.Join(d.dir, "artifacts"), model)
}

// checkpoints are the folders of whole checkpoints in the scratch folders of workers.
func (d *deployment) checkpoints() map[string]bool {
	found := map[string]bool{}
	_ = filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error { // folders come and go
		if err == nil && entry.Name() == "trainer_state.json" {
			found[filepath.Dir(path)] = true
		}
		return nil
	})
	return found
}

// TestTRLStrikes: a training whose trainer is killed, whose worker is killed, or that is
// stopped in the middle ends with the weights of one that was not disturbed, bit by bit.
func TestTRLStrikes(t *testing.T) {
	d := newDeployment(t, "trainers/python", trlSettings(t)...)
	start := func(id string) {
		specification := fmt.Appendf(nil, `{
  "fine_tuner": {"engine": "trl", "base_model_id": "base-model", "training_data_id": "validation.jsonl", "max_sequence_length": 64, "dtype": "float32",
    "device_train_batch_size": 4, "grad_accumulation": 1, "epochs": 8, "save_steps": 4, "rank": 8, "lora_dropout": 0.1},
  "mlflow": {"run_name": %q},
  "pipeline": {"stop_after_finetuning": true, "max_tries": 20, "max_crashes": 20, "backoff": "100ms"}}`, id)
		if _, err := journal.New(d.bus).Publish(t.Context(), events.PipelineRequested{RunID: id, Specification: specification}, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	start("undisturbed")
	_, want := d.ended(t, "undisturbed")
	restart := func() {
		for i := range d.workers {
			d.workers[i] = programs.Start(t, d.dir, processes.Finetune, d.env)
		}
	}
	for _, c := range []struct {
		name   string
		strike func()
	}{
		{"trainer-killed", func() {
			_, trainers := d.trainerProcesses()
			for _, pid := range trainers {
				if p, err := os.FindProcess(pid); err == nil {
					_ = p.Kill() // it may have ended
				}
			}
		}},
		{"worker-killed", func() {
			for _, w := range d.workers {
				w.Kill(t)
			}
			restart()
		}},
		{"stopped", func() {
			for _, w := range d.workers {
				w.Stop(t)
			}
			restart()
		}},
	} {
		before := d.checkpoints()
		start(c.name)
		processes.Eventually(t, 15*time.Minute, c.name+" has two checkpoints", func() error {
			fresh := 0
			for path := range d.checkpoints() {
				if !before[path] && strings.HasSuffix(path, "checkpoint-8") {
					fresh++
				}
			}
			if fresh == 0 {
				return errors.New("not yet")
			}
			return nil
		})
		c.strike()
		r, got := d.ended(t, c.name)
		attempts := r.Phases[events.Finetune].Results()
		last := attempts[len(attempts)-1]
		if len(attempts) < 2 || last.ResumedFrom == 0 {
			t.Errorf("%s: %d attempts, the last one from step %d", c.name, len(attempts), last.ResumedFrom)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the weights are %v, want %v", c.name, got, want)
		}
		t.Logf("%s: %d attempts, the last one from step %d, the weights %v", c.name, len(attempts), last.ResumedFrom, got)
	}
	for _, p := range append(d.workers, d.services...) {
		p.Stop(t)
	}
	if s, c := d.trainerProcesses(); len(s)+len(c) > 0 {
		t.Errorf("left are the processes %v and %v", s, c)
	}
}

// tunebusRun runs a pipeline in a process of its own, to its end. The data lie in a folder.
func tunebusRun(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	words := append([]string{"run", "--data", filepath.Join(dir, "data"), "--reports", filepath.Join(dir, "reports"),
		"--tracking-uri", "file:" + filepath.Join(dir, "mlruns"), "--relaxed-sync"}, args...)
	programs.Start(t, dir, processes.Tunebus, env, words...).Wait(t, 15*time.Minute)
}

// environment makes an environment of trl in a data folder, with the packages of the one of
// the tests.
func environment(t *testing.T, data string) {
	t.Helper()
	folder := filepath.Join(data, "engines", "trl")
	said := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), python(t), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	said("-m", "venv", "--without-pip", folder)
	found, _ := filepath.Glob(filepath.Join(folder, "lib", "python3*", "site-packages"))
	if len(found) != 1 {
		t.Fatalf("the environment has the packages %v", found)
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(found[0], "packages.pth"), []byte(said("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])")+"\n"), 0o600),
		os.Symlink(filepath.Join(processes.Root(), "trainers", "python", "tunebus_trainer"), filepath.Join(found[0], "tunebus_trainer")),
		trainerenv.Finish(trainerenv.Environment{Folder: folder, Engine: "trl"}),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// TestTRLPipeline: "tunebus run" has the engine trl train in the environment of the data
// folder, the built-in engine answer with the result, and the answers judged.
func TestTRLPipeline(t *testing.T) {
	dir, quick := t.TempDir(), filepath.Join(processes.Root(), "configs", "quickstart")
	config := filepath.Join(dir, "run.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[fine_tuner]
engine = "trl"
base_model_id = %q
training_data_id = %q
max_sequence_length = 64
load_in_4bit = true
device_train_batch_size = 4
grad_accumulation = 1
epochs = 1
rank = 8
[inferencer]
testing_data_id = %[2]q
temperature = 0.0
max_new_tokens = 4
[evaluator]
metrics = ["exact_match"]
`, filepath.Join(quick, "base-model"), filepath.Join(quick, "validation.jsonl")), 0o600); err != nil {
		t.Fatal(err)
	}
	environment(t, filepath.Join(dir, "data"))
	tunebusRun(t, dir, []string{"OMP_NUM_THREADS=1"}, config, "--run-id", "r")
	for _, name := range []string{"finetune/1/trainer.log", "inference/1/inferencer_output.jsonl", "evaluation/1"} {
		if _, err := os.Stat(filepath.Join(dir, "data", "artifacts", "runs", "r", filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
}

// point is one of a run's metric history.
type point struct {
	Key   string  `json:"key"`
	Step  int64   `json:"step"`
	Value float64 `json:"value"`
}

// metricHistory reads the points of a metric of a run by their steps.
func metricHistory(t *testing.T, dir, run string) map[string]map[int64]float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "data", "artifacts", "runs", run, "finetune", "1", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]map[int64]float64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if out[p.Key] == nil {
			out[p.Key] = map[int64]float64{}
		}
		out[p.Key][p.Step] = p.Value
	}
	return out
}

// The largest differences between the engines, relative to the built-in engine's values.
const (
	lossTolerance = 1e-3
	normTolerance = 1e-2
)

// TestTRLBesideTheBuiltinEngine: with the same starting adapter, no dropout, float32 and the
// same rows in the same order, both engines have the same losses and gradients in each step.
func TestTRLBesideTheBuiltinEngine(t *testing.T) {
	full(t)
	dir, quick := t.TempDir(), filepath.Join(processes.Root(), "configs", "quickstart")
	script, err := filepath.Abs("testdata/models.py")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), python(t), script, dir, filepath.Join(quick, "base-model")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, model := range []string{"llama", "qwen2"} {
		for kind, base := range map[string]string{"lora": model + "-adapter", "full": model} {
			config := filepath.Join(dir, model+"-"+kind+".toml")
			if err := os.WriteFile(config, fmt.Appendf(nil, `[fine_tuner]
base_model_id = %q
training_data_id = %q
max_sequence_length = 64
full_finetuning = %v
dtype = "float32"
rank = 8
device_train_batch_size = 4
grad_accumulation = 2
epochs = 1
warmup_steps = 3
learning_rate = 0.002
save_steps = 0
[pipeline]
stop_after_finetuning = true
`, filepath.Join(dir, base), filepath.Join(quick, "train.jsonl"), kind == "full"), 0o600); err != nil {
				t.Fatal(err)
			}
			both := map[string]map[string]map[int64]float64{}
			for engine, env := range map[string][]string{"builtin": nil, "trl": trlSettings(t)} {
				at := filepath.Join(dir, model+"-"+kind+"-"+engine)
				if err := os.Mkdir(at, 0o750); err != nil {
					t.Fatal(err)
				}
				tunebusRun(t, at, env, config, "--run-id", "r", "--set", "fine_tuner.engine="+engine)
				both[engine] = metricHistory(t, at, "r")
			}
			for key, tolerance := range map[string]float64{"loss": lossTolerance, "grad_norm": normTolerance} {
				want, got := both["builtin"][key], both["trl"][key]
				if len(want) < 20 || len(got) != len(want) {
					t.Errorf("%s, %s: %d steps of the built-in engine and %d of trl have a %s", model, kind, len(want), len(got), key)
				}
				worst, at := 0.0, int64(0)
				for step, value := range want {
					other, ok := got[step]
					if difference := math.Abs(other-value) / math.Abs(value); !ok || difference > worst {
						worst, at = difference, step
					}
				}
				t.Logf("%s, %s: the %s differs by %.2g at most, in step %d of %d", model, kind, key, worst, at, len(want))
				if worst > tolerance {
					t.Errorf("%s, %s: the %s of step %d is %g here and %g there", model, kind, key, at, want[at], got[at])
				}
			}
		}
	}
}
