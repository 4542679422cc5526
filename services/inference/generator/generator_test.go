package generator_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/generator"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	goleak.VerifyTestMain(m)
}

// base is the model of the quickstart, whose tokenizer the prompts need.
const base = "../../../configs/quickstart/base-model"

// python is a Python with its standard library.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3: make test-trainer runs this test")
	}
	return path
}

func newHarness(t *testing.T, rows int) *workertest.Harness {
	t.Helper()
	h := workertest.New(t)
	h.Engine = "transformers"
	if err := os.CopyFS(filepath.Join(h.Root, "base"), os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "{\"question\":%q,\"answer\":\"a\"}\n", strings.Repeat("Say mackerel. ", 1+i%3)+fmt.Sprint(i))
	}
	h.Write(t, "rows.jsonl", text.String())
	return h
}

func small(s *events.Specification) {
	s.FineTuner.BaseModelID, s.Inferencer.Engine, s.Inferencer.TestingDataID = "base", "transformers", "rows.jsonl"
	s.Inferencer.Temperature, s.Inferencer.MaxNewTokens = 0, 64
}

func echo(t *testing.T, mode, folder string) *generator.Engine {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", "echo.py"))
	if err != nil {
		t.Fatal(err)
	}
	return generator.New(generator.Config{Command: []string{python(t), script}, Environ: os.Environ(), Environment: []string{"MODE=" + mode, "MARK=" + filepath.Join(folder, "mark")}, Folder: folder})
}

// TestAnswers: a command answers all rows; what a killed one has answered is not asked
// again.
func TestAnswers(t *testing.T) {
	t.Parallel()
	h, folder := newHarness(t, 11), t.TempDir()
	c := h.Run(t, echo(t, "kill", folder), events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Pipeline.MaxTries, s.Pipeline.Backoff = 2, "1ms"
	})
	mark, err := os.ReadFile(filepath.Join(folder, "mark"))
	if want := "0 of 11 are answered\n4 of 11 are answered\n"; err != nil || string(mark) != want {
		t.Errorf("the command was told %q, want %q; %v", mark, want, err)
	}
	got := workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions)
	if len(got) != 11 {
		t.Fatalf("%d answers: %+v", len(got), c.Error)
	}
	for i, p := range got {
		if p.Index != int64(i) || p.Answer == "" || p.Tokens == 0 || p.Tokens != p.PromptTokens || p.FinishReason != "stop" {
			t.Errorf("answer %d is %+v", i, p)
		}
	}
	if c.Statistics["inference_rows"] != 11 || c.TokensIn == 0 || c.TokensOut != c.TokensIn || len(c.Notes) > 0 {
		t.Errorf("completed %+v", c)
	}
	if _, ok := c.Artifact("generator.log"); !ok {
		t.Error("there is no log")
	}
}

// TestJobKeys: the job of a command has every key of the section with its value, and names
// those that differ from their defaults.
func TestJobKeys(t *testing.T) {
	t.Parallel()
	section, ok := reflect.TypeFor[events.Specification]().FieldByName("Inferencer")
	if !ok {
		t.Fatal("there is no section")
	}
	for want, change := range map[string]func(*events.Inferencer){
		`{"changed": ["engine", "testing_data_id", "max_new_tokens", "temperature", "top_k", "stop"], "keys": %d, "stop": ["x"]}`: func(i *events.Inferencer) {
			i.TopK, i.Stop = 7, []string{"x"}
		},
		`{"changed": ["engine", "testing_data_id", "max_new_tokens", "temperature"], "keys": %d, "stop": []}`: func(*events.Inferencer) {},
	} {
		h, folder := newHarness(t, 2), t.TempDir()
		h.Run(t, echo(t, "keys", folder), events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			change(&s.Inferencer)
		})
		mark, err := os.ReadFile(filepath.Join(folder, "mark"))
		if want := "0 of 2 are answered\n" + fmt.Sprintf(want, section.Type.NumField()) + "\n"; err != nil || string(mark) != want {
			t.Errorf("the job says %s, want %s; %v", mark, want, err)
		}
	}
}

// TestKilled: how a command ended that nobody heard of again is said with the last lines of its
// log.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 11)
	c := h.Run(t, echo(t, "kill", t.TempDir()), events.Inference, events.Inputs{}, small)
	if c.Error == nil || c.Error.Code != "command_failed" || !strings.Contains(c.Error.Message, "was killed by a signal") || !strings.Contains(c.Error.Message, "working on") {
		t.Fatalf("the killed command gave %+v", c)
	}
}

// TestFaults: what a command does wrong is a sentence, of the right class.
func TestFaults(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string][2]string{
		"garbage": {"protocol", `line 1 of the answers: "no JSON\n" is no JSON object`},
		"twice":   {"protocol", "is answered already"},
		"foreign": {"protocol", "row 10000 is none of 5 rows"},
		"error":   {"out_of_memory", "inferencer.batch_size: no memory"},
		"trains":  {"bad_command", "tunebus_trainer.generate"},
		"outside": {"protocol", "the id 99999 is none of the vocabulary, which has 0 to "},
		"early":   {"protocol", "lines are written, and this one is not; a line is written whole"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, 5)
			c := h.Run(t, echo(t, mode, t.TempDir()), events.Inference, events.Inputs{}, small)
			if c.Error == nil || c.Error.Code != want[0] || !strings.Contains(c.Error.Message, want[1]) {
				t.Errorf("completed %+v, %+v", c.Conclusion, c.Error)
			}
		})
	}
}

// TestStopTexts: an answer ends before the first of the texts.
func TestStopTexts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 3)
	whole := workertest.Lines[prediction.Prediction](t, h, h.Run(t, echo(t, "", t.TempDir()), events.Inference, events.Inputs{}, small), events.ArtifactPredictions)
	cut := workertest.Lines[prediction.Prediction](t, h, h.Run(t, echo(t, "", t.TempDir()), events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.Stop = []string{"mackerel"}
	}), events.ArtifactPredictions)
	for i := range whole {
		if want, _, found := strings.Cut(whole[i].Answer, "mackerel"); found && cut[i].Answer != want {
			t.Errorf("answer %d is %q, want %q", i, cut[i].Answer, want)
		}
	}
	if slices.EqualFunc(whole, cut, func(a, b prediction.Prediction) bool { return a.Answer == b.Answer }) {
		t.Error("nothing was cut")
	}
}

// TestNoCommand: a program that is gone is named by its setting.
func TestNoCommand(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2)
	e := generator.New(generator.Config{Command: []string{filepath.Join(t.TempDir(), "nobody")}})
	c := h.Run(t, e, events.Inference, events.Inputs{}, small)
	if c.Error == nil || c.Error.Code != "no_command" || !strings.Contains(c.Error.Message, "services.inference.command") {
		t.Errorf("completed %+v", errors.New(fmt.Sprint(c.Error)))
	}
}

// TestEnds: how answers end is said where they do not end by themselves, and one that the
// command could not give is none.
func TestEnds(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 5)
	c := h.Run(t, echo(t, "odd", t.TempDir()), events.Inference, events.Inputs{}, small)
	for _, want := range []string{
		`1 of 5 questions have no answer: the command says that it failed (finish_reason "error")`, "1 of 5 answers are cut at inferencer.max_new_tokens = 64",
		"1 of 5 answers come without a finish_reason",
	} {
		if !strings.Contains(strings.Join(c.Notes, "\n"), want) {
			t.Errorf("no %q in %q, %+v", want, c.Notes, c.Error)
		}
	}
	got := workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions)
	for i, p := range got {
		if p.NoAnswer != (i == 0) || (p.Error != "") != (i == 0) {
			t.Errorf("answer %d is %+v", i, p)
		}
	}
}

// TestKeyNotes: a key that a person changed and that the command does not name has a note.
func TestKeyNotes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2)
	c := h.Run(t, echo(t, "keyless", t.TempDir()), events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.Temperature, s.Inferencer.TopK, s.Inferencer.Stop = 1, 5, []string{"x"}
	})
	notes := strings.Join(c.Notes, "\n")
	for _, key := range []string{"temperature = 1", "max_new_tokens = 64", "top_k = 5"} {
		if !strings.Contains(notes, "inferencer."+key+": the command echo does not honour it") {
			t.Errorf("no note of %s in %q", key, c.Notes)
		}
	}
	if strings.Contains(notes, "stop") || strings.Contains(notes, "testing_data_id") {
		t.Errorf("a key that is honoured has a note: %q", c.Notes)
	}
}
