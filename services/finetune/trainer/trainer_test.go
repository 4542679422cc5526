package trainer_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/services/finetune/trainer"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	goleak.VerifyTestMain(m)
}

// python is a Python with its standard library.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		// "make test" needs Go alone; CI runs "make test-trainer", which fails without a python3.
		t.Skip("there is no python3; make test-trainer wants one")
	}
	return path
}

// script returns the command of a Python program.
func script(t *testing.T, file string) []string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return []string{python(t), path}
}

const example = "../../../docs/examples/trainer/trainer.py"

func newEngine(command []string, environment ...string) *trainer.Engine {
	return trainer.New(trainer.Config{Name: "command", Command: command, Environ: os.Environ(), Environment: environment})
}

// newHarness has a base model and rows below its root.
func newHarness(t *testing.T) *workertest.Harness {
	t.Helper()
	h := workertest.New(t)
	h.Engine = "command"
	if err := os.CopyFS(filepath.Join(h.Root, "base"), os.DirFS("../../../configs/quickstart/base-model")); err != nil {
		t.Fatal(err)
	}
	rows := ""
	for i := range 10 {
		rows += fmt.Sprintf(`{"question":"What is %d?","answer":"It is %d."}`+"\n", i, i*i)
	}
	h.Write(t, "rows.jsonl", rows)
	h.Write(t, "validation.jsonl", strings.Join(strings.SplitAfter(rows, "\n")[:3], ""))
	return h
}

// small is a training of ten steps.
func small(s *events.Specification) {
	f := &s.FineTuner
	f.Engine, f.BaseModelID, f.TrainingDataID = "command", "base", "rows.jsonl"
	f.DeviceTrainBatchSize, f.GradAccumulation, f.Epochs, f.SaveSteps = 2, 1, 2, 3
}

// TestTrains: a trainer gets the rows, reports its steps, and its result is a model that
// the built-in engine opens.
func TestTrains(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, newEngine(script(t, example)), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.Rank, s.FineTuner.Packing = 8, true
	})
	if c.Conclusion != events.Success {
		t.Fatalf("it completed as %s: %+v", c.Conclusion, c.Error)
	}
	dir := h.Dir(t, c, events.ArtifactModel)
	if _, err := llm.Open(dir); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"tokenizer.json", "chain.txt"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	points := workertest.Lines[events.Point](t, h, c, events.ArtifactMetrics)
	if len(points) != 10 || points[9].Step != 10 || points[9].Key != "loss" {
		t.Errorf("its points are %+v", points)
	}
	if c.Statistics["total_training_steps"] != 10 || c.Statistics["training_rows"] != 10 {
		t.Errorf("its statistics are %v", c.Statistics)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"fine_tuner.rank = 8: the trainer chain does not honour it", "fine_tuner.packing = true: the trainer chain does not honour it"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in:\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "save_steps") || strings.Contains(notes, "training_data_id") {
		t.Errorf("a key that is honoured is in the notes:\n%s", notes)
	}
	log, err := h.Store.Get(t.Context(), h.Reference(t, c, "trainer.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if line, _ := bufio.NewReader(log).ReadString('\n'); line != "step 0 of 10\n" {
		t.Errorf("its log begins with %q", line)
	}
}

// TestRows: the job file has both forms of the rows, with the seed's order.
func TestRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	out := filepath.Join(t.TempDir(), "seen")
	c := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=look", "LOOK="+out), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.ValidationDataID = "validation.jsonl"
	})
	if c.Conclusion != events.Success {
		t.Fatalf("it completed as %s: %+v", c.Conclusion, c.Error)
	}
	var seen struct {
		Job struct {
			Keys       map[string]any
			Changed    []string
			Training   struct{ Rows, Examples, Longest int }
			Validation struct{ Rows, Examples int }
		}
		Tokens []struct {
			IDs     []int
			Counted [][2]int
		}
		Messages []struct {
			Messages []struct{ Role, Content string }
			Truth    string `json:"ground_truth"`
		}
	}
	body, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(body, &seen)
	}
	if err != nil {
		t.Fatal(err)
	}
	j := seen.Job
	if j.Training.Rows != 10 || j.Training.Examples != 10 || len(seen.Tokens) != 10 || len(seen.Messages) != 10 || j.Validation.Rows != 3 || j.Keys["save_steps"] != 3.0 {
		t.Errorf("the job file is %+v, with %d and %d rows", j, len(seen.Tokens), len(seen.Messages))
	}
	if !slices.Contains(j.Changed, "epochs") || slices.Contains(j.Changed, "rank") {
		t.Errorf("the changed keys are %q", j.Changed)
	}
	var order []string
	for i, m := range seen.Messages {
		tokens := seen.Tokens[i]
		if len(m.Messages) != 2 || m.Truth != m.Messages[1].Content || len(tokens.Counted) != 1 || tokens.Counted[0][1] > len(tokens.IDs) || len(tokens.IDs) > j.Training.Longest {
			t.Errorf("row %d is %+v and %+v", i, m, tokens)
		}
		order = append(order, m.Messages[0].Content)
	}
	if slices.IsSorted(order) {
		t.Errorf("the rows are not shuffled: %q", order)
	}
}

// TestFailures: what a trainer does wrong ends the phase with a code and a sentence.
func TestFailures(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, c := range []struct {
		rude, code, want string
	}{
		{"exit", "trainer_failed", "the trainer ended with exit status 3 and said no reason; its last lines:\nTraceback of the rude trainer"},
		{"silent", "trainer_failed", "the trainer ended without a result"},
		{"memory", "out_of_memory", "the device is full"},
		{"data", "bad_data", "row 7 has no answer"},
		{"key", "bad_key", "fine_tuner.rank: 16 is too much"},
		{"garbage", "protocol", "line 2 of the trainer: it is no JSON object: \"\\x00\\x01garbage\""},
		{"long", "protocol", "line 2 of the trainer is longer than 1048576 bytes"},
		{"killed", "trainer_failed", "the trainer was killed by a signal that tunebus did not send"},
		{"stopped", "trainer_stopped", "the trainer stopped by itself behind step 1"},
		{"nothing", "bad_result", "there is no folder output.model"},
		{"pickle", "bad_result", "it has neither adapter_config.json with adapter_model.safetensors nor config.json with weights as *.safetensors"},
		{"link", "bad_result", "model.safetensors is neither a file nor a folder"},
		{"lacks", "trainer_failed", "its Python does not have the package tunebus_trainer; "},
		{"unusable", "trainer_failed", "the trainer cannot work on this worker; its last lines:\nthis Python lacks the packages"},
		{"stepless", "bad_result", `the result of the trainer "rude": it came before any step`},
		{"few", "bad_result", `the result of the trainer "rude": it came at step 3 of 100; a trainer that means to end early says ended_early in its result`},
		{"half", "bad_result", "model.safetensors: it has "},
		{"nan", "bad_result", "value "},
		{"shapes", "bad_result", "config.json wants"},
		{"config", "bad_result", "config.json is no JSON object"},
		{"shard", "bad_result", "gone.safetensors"},
		{"adapter-empty", "bad_result", "adapter_model.safetensors has no tensor"},
		{"adapter-kind", "bad_result", "adapter_config.json has no peft_type"},
		{"adapter-foreign", "bad_result", "does not belong to this model"},
		{"adapter-length", "bad_result", "adapter_model.safetensors: tensor a: 4 bytes do not hold its shape [9] of F32"},
		{"allocates", "out_of_memory", "MemoryError"},
	} {
		t.Run(c.rude, func(t *testing.T) {
			command := script(t, "testdata/rude.py")
			if c.rude == "allocates" {
				command = append([]string{"/bin/sh", "-c", `ulimit -v 200000 && exec "$@"`, "sh"}, command...)
			}
			done := h.Run(t, newEngine(command, "RUDE="+c.rude), events.Finetune, events.Inputs{}, func(s *events.Specification) {
				small(s)
				if c.code == "bad_result" || c.rude == "unusable" || c.rude == "lacks" { // which is for good
					s.Pipeline.MaxTries = 2
				}
			})
			if done.Error == nil || done.Error.Code != c.code || !strings.Contains(done.Error.Message, c.want) {
				t.Errorf("it completed as %s with %+v, want %s: %q", done.Conclusion, done.Error, c.code, c.want)
			}
			if done.Attempt != 1 {
				t.Errorf("it was tried %d times", done.Attempt)
			}
		})
	}
}

// TestOddities: what a trainer may do oddly costs a note at most.
func TestOddities(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, c := range []struct{ rude, note string }{
		{"late", "the trainer ended with exit status 9 after its result; the result counts"},
		{"notes", "the trainer sent 50 more notes"},
		{"dropped", "fine_tuner.training_data_id: the trainer leaves out 5 of 10 rows"},
		{"artifacts", `the artifact "../x" of the trainer is not stored: an artifact of a trainer cannot have this name`},
		{"hurries", "kept 8, refused checkpoint_not_kept"},
		{"hurries", "1 checkpoint of the trainer was not kept, so that another attempt would not go on from there; that of step 9: its folder is not in output.checkpoints"},
		{"gone", "1 checkpoint of the trainer was not kept, so that another attempt would not go on from there; that of step 1: its folder 1 is gone: the trainer removed it before checkpoint_kept said that it is stored"},
		{"outside", "2 checkpoints of the trainer were not kept, so that another attempt would not go on from there; that of step 1: its folder is not in output.checkpoints"},
		{"repeats", "the trainer sent 5 points of steps that it had reported already; the first ones count"},
		{"beyond", "the trainer reported step 900, and said that there are 10"},
		{"early", "the trainer ended early, behind step 3 of 100"},
		{"foreign", ""},
		{"orphan", ""},
	} {
		t.Run(c.rude, func(t *testing.T) {
			done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE="+c.rude), events.Finetune, events.Inputs{}, small)
			if done.Conclusion != events.Success || c.note != "" && !slices.Contains(done.Notes, c.note) {
				t.Errorf("it completed as %s, %+v, with the notes %q, want %q", done.Conclusion, done.Error, done.Notes, c.note)
			}
			switch sets := done.Datasets; {
			case c.rude == "early" && done.Statistics["total_epochs"] != 0.06: // of two
				t.Errorf("its statistics are %v", done.Statistics)
			case c.rude == "dropped" && (sets[0].Rows != 5 || sets[0].Dropped != 5 || done.Statistics["training_rows"] != 5):
				t.Errorf("its data sets are %+v, its statistics %v", sets, done.Statistics)
			}
			if _, ok := done.Artifact("curves"); ok != (c.rude == "artifacts") {
				t.Errorf("its artifacts are %+v", done.Artifacts)
			}
		})
	}
}

// TestRepeatedPoints: of the points of a step the first ones count, also behind later steps.
func TestRepeatedPoints(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=repeats"), events.Finetune, events.Inputs{}, small)
	var got []string
	for _, p := range workertest.Lines[events.Point](t, h, done, events.ArtifactMetrics) {
		got = append(got, fmt.Sprintf("%s %d %v", p.Key, p.Step, p.Value))
	}
	if want := []string{"loss 1 1", "loss 2 0.25", "loss 3 0.375", "loss 4 0.5", "late 3 7"}; !slices.Equal(got, want) {
		t.Errorf("its points are %q, want %q", got, want)
	}
}

// TestBaseModelIsWritten: a trainer that writes into the folder of the base model has failed.
func TestBaseModelIsWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=intrudes"), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Pipeline.MaxTries = 2
	})
	want := "the base model changed while the trainer worked, which may only read it: " + filepath.Join(h.Root, "base", "left-behind") + " is new"
	if done.Error == nil || done.Error.Code != "base_changed" || !strings.Contains(done.Error.Message, want) || done.Attempt != 1 {
		t.Errorf("it completed as %s in attempt %d with %+v, want %q", done.Conclusion, done.Attempt, done.Error, want)
	}
}

// TestKeysThatATrainerLacks are refused before its first step.
func TestKeysThatATrainerLacks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=hangs"), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.Optimizer, s.FineTuner.LoadIn4bit = "lion", true
		s.FineTuner.UseDoRA, s.FineTuner.MaxSteps = true, 7
	})
	const want = `fine_tuner.load_in_4bit = true: the trainer rude does not have it (quantisation: 8bit); fine_tuner.use_dora = true: the trainer rude does not have this key; ` +
		`fine_tuner.max_steps = 7: the trainer rude does not have this key; fine_tuner.optimizer = "lion": the trainer rude has adamw_torch, sgd`
	if done.Error == nil || done.Error.Code != "bad_key" || done.Error.Message != want {
		t.Errorf("it completed as %s with %+v", done.Conclusion, done.Error)
	}
	done = h.Run(t, newEngine(script(t, example)), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.Engine = "builtin"
	})
	if done.Error == nil || done.Error.Code != "wrong_engine" {
		t.Errorf("it completed as %s with %+v", done.Conclusion, done.Error)
	}
	done = h.Run(t, newEngine([]string{"/no/such/python"}), events.Finetune, events.Inputs{}, small)
	if done.Error == nil || done.Error.Code != "no_trainer" || !strings.Contains(done.Error.Message, "services.finetune.command: start /no/such/python:") {
		t.Errorf("it completed as %s with %+v", done.Conclusion, done.Error)
	}
}
