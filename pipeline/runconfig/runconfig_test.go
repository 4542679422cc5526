package runconfig

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

func take(t *testing.T, text string) (Run, structconf.Faults, structconf.Tree) {
	t.Helper()
	tree, faults := structconf.ParseTOML("my.toml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	run, faults := Take(tree)
	return run, faults, tree
}

func TestTake(t *testing.T) {
	t.Parallel()
	run, faults, tree := take(t, "[run]\npredictions = 'a.csv'\n[run.labels]\n'x.y' = \"n\\u0001ull\"\nn = 'null'\nv = '${HOME}'\nc = 3\n[mlflow]\nrun_name = 'x'\n")
	if len(faults) > 0 || len(tree.Sections) != 1 {
		t.Fatalf("%v, sections left: %v", faults, tree.Sections)
	}
	if want := map[string]string{"x.y": "n\x01ull", "n": "null", "v": "${HOME}", "c": "3"}; !maps.Equal(run.Labels, want) {
		t.Errorf("labels %q", run.Labels)
	}
	if !maps.Equal(run.Files, map[string]string{Predictions: "a.csv"}) {
		t.Errorf("files %v", run.Files)
	}
}

// TestTakeFaults: all faults come at once, each with its place.
func TestTakeFaults(t *testing.T) {
	t.Parallel()
	_, faults, _ := take(t, "[run]\nlabel = 1\npredictions = 3\n[run.labels]\na = [1]\n\"\" = 'x'\n")
	if want := []string{
		`my.toml:2:1: run.label: unknown key; did you mean "labels"?`,
		"my.toml:5:1: run.labels.a: want a text",
		"my.toml:4:2: run.labels: a label needs a name",
		"my.toml:3:1: run.predictions: want the path of a file",
	}; !slices.Equal(sorted(faults.Lines()), sorted(want)) {
		t.Errorf("faults\n%s", strings.Join(faults.Lines(), "\n"))
	}
	if _, faults, _ := take(t, "run = 3\n"); len(faults) != 1 {
		t.Errorf("faults %v", faults)
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

// TestWriteOfPublishers: runs that no command of this program asked for.
func TestWriteOfPublishers(t *testing.T) {
	t.Parallel()
	accepted := events.PipelineAccepted{
		RunName: "a\n[fine_tuner]", RunID: "r", RequestedAt: time.Unix(0, 0), Specification: spec.Defaults(),
		Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin.large"}, {Phase: events.Inference, Queue: "builtin"}},
		Inputs: events.Inputs{
			Files:       map[string]events.Reference{"fine_tuner.training_data_id": {Store: "s", Key: "content/ab", SHA256: "ab"}},
			Predictions: &events.Reference{Store: "s", Key: "runs/old/answers"},
		},
	}
	accepted.RunName, accepted.Labels = accepted.RunName+"\u202e\u009b", map[string]string{"l": "\u202ex"}
	s := &accepted.Specification
	s.MLflow.RunName = "a\u202eb"
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "owner/model", "up.jsonl", "owner/data"
	for _, c := range []struct {
		enabled, tracking string
		has, hasNot       []string
	}{
		{"all", "http://mlflow:5000", []string{
			"# Run a [fine_tuner]   (r)", "training_data_id = 'up.jsonl'", "folder is not known", "queue = 'builtin.large'", "\n# timeout = \"\"\n", "\n# gate_coverage = 0 # 1 for reference metrics, 0.95 for judged ones\n", `run_name = "a\u202Eb"`, `l = "\u202Ex"`, "tracking_uri = 'http://mlflow:5000'",
		}, []string{"runs/old/answers", "= 'null'", "\u202e", "\u009b"}},
		{"evaluation", "https://me:secret@mlflow", []string{"run.predictions: the answers were runs/old/answers"}, []string{"secret"}},
	} {
		s.Pipeline.EnableFinetuning, s.Pipeline.EnableInference = c.enabled == "all", c.enabled == "all"
		var b strings.Builder
		if err := Write(&b, events.Run{ID: "r", Accepted: &accepted}, c.tracking, nil); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.has {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.enabled, want, b.String())
			}
		}
		for _, never := range c.hasNot {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: %q in\n%s", c.enabled, never, b.String())
			}
		}
		if _, faults := structconf.ParseTOML("x", []byte(b.String())); len(faults) > 0 {
			t.Errorf("%s: %v", c.enabled, faults)
		}
	}
	if s.FineTuner.Queue != "" {
		t.Error("the fact of the run was changed")
	}
}

// TestWriteBelowRoots: a file that the services found below their data roots has its absolute path, with
// the split behind it. An id of the Hub stays, unless there is a file of that name.
func TestWriteBelowRoots(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, path := range []string{"mine/base/x", "mine/a:b.jsonl", "mine/data/test.jsonl"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accepted := events.PipelineAccepted{RunID: "r", Specification: spec.Defaults(), Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}}
	s := &accepted.Specification
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.FineTuner.ValidationDataID, s.Inferencer.TestingDataID = "mine/base", "mine/a:b.jsonl", "gone.jsonl", "mine/data:test"
	s.Inferencer.ModelID = "owner/model"
	var b strings.Builder
	if err := Write(&b, events.Run{ID: "r", Accepted: &accepted}, "", []string{root}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"base_model_id = '" + root + "/mine/base'", "training_data_id = '" + root + "/mine/a:b.jsonl'", "validation_data_id = 'gone.jsonl'",
		"testing_data_id = '" + root + "/mine/data:test'", "model_id = 'owner/model'",
		"# fine_tuner.validation_data_id: the services found the file below their data roots; a relative path starts here.",
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, b.String())
		}
	}
	if strings.Contains(b.String(), "inferencer.model_id: the services") || s.FineTuner.BaseModelID != "mine/base" {
		t.Error("the id of the Hub is taken for a file, or the fact of the run was changed")
	}
}

// FuzzTake: any section is read or refused.
func FuzzTake(f *testing.F) {
	f.Add("[run]\nlabels = {a = 'b'}\npredictions = 'x'\n")
	f.Add("[run]\nlabels.a.b = 1\n[[run.x]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		tree, faults := structconf.ParseTOML("f", []byte(text))
		if len(faults) > 0 {
			return
		}
		Take(tree)
		if _, left := tree.Sections[Section]; left {
			t.Error("the section is left")
		}
	})
}
