package spec_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestWriteRoundTrip: writing a specification as a file and reading it gives the
// same specification.
func TestWriteRoundTrip(t *testing.T) {
	t.Parallel()
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = `owner/mo"del`, "täglich\n\x07.jsonl", "owner/test"
	s.FineTuner.QuestionPart, s.FineTuner.UseGradientCheckpointing = "<|im_start|>user\n", "unsloth"
	s.FineTuner.TargetModules, s.FineTuner.LearningRate = []string{"q_proj"}, 1e-7
	s.FineTuner.ChatTemplateKwargs = `{"date_string":"26 Jul 2024","depth":[1,2.0,{"a b":true}],"enable_thinking":false}`
	s.Evaluator.Metrics, s.Evaluator.Gates = []string{"chrf"}, map[string]float64{"rouge_score": 0.5, "key_fact_accuracy": 1}
	for name, want := range map[string]any{"changed": s, "defaults": minimal()} {
		var b strings.Builder
		if err := structconf.Write(&b, want); err != nil {
			t.Fatal(err)
		}
		tree, faults := structconf.ParseTOML("written.toml", []byte(b.String()))
		if len(faults) > 0 {
			t.Fatalf("%s: %v\n%s", name, faults, b.String())
		}
		got, faults := spec.Decode(tree)
		if len(faults) > 0 || !reflect.DeepEqual(any(got), want) {
			t.Errorf("%s: read back as\n%+v\nwant\n%+v\n%v\n%s", name, got, want, faults, b.String())
		}
	}
}

// minimal returns the smallest specification without faults.
func minimal() any {
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "a/b", "a/c", "a/d"
	return s
}
