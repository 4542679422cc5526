package spec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// FuzzFile: reading any file ends with a specification or with faults, each with a
// message.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("../../configs/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seed file: %v", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, seed := range []string{
		"fine_tuner = 1", "[fine_tuner]\nepochs = \"null\"\nlearning_rate = nan", "[pipeline]\ndeadline = 5h", "[[evaluator]]\nmetrics = [1, [2]]",
		"[fine_tuner]\ntarget_modules = {a = 1}\nuse_gradient_checkpointing = \"unsloth\"", "evaluator.gates.\"a.b\" = 0.5\n[evaluator.gates]\nc = inf",
		"[fine_tuner]\nepochs = 1\nepochs = 2", "\"\" = 1", "[a.b]\n[a]", "x = 1979-05-27T07:32:00Z", "[inferencer]\nseed = 99999999999999999999",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, faults := structconf.ParseTOML("f.toml", body)
		if len(faults) == 0 {
			var again structconf.Tree
			again.Merge(tree)
			_, faults = Decode(again)
		}
		for _, fault := range faults {
			if fault.Message == "" {
				t.Errorf("a fault without a message: %+v", fault)
			}
		}
	})
}

// FuzzSet: any value of --set is accepted, or refused with a message.
func FuzzSet(f *testing.F) {
	for _, seed := range []string{
		"fine_tuner.epochs=1", "fine_tuner.epochs", "=", ".=", "a.b.c=[1", "evaluator.metrics=[\"rouge_score\"]",
		"evaluator.gates={rouge_l = 0.5}", "pipeline.deadline=\"\"\"\n", "x.y=1\nz = 2", "fine_tuner.dtype=null",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, assignment string) {
		var tree structconf.Tree
		if fault := tree.Set(assignment); fault != nil {
			if fault.Message == "" {
				t.Errorf("refused without a message: %+v", fault)
			}
			return
		}
		_, faults := Decode(tree)
		for _, fault := range faults {
			if fault.Message == "" {
				t.Errorf("a fault without a message: %+v", fault)
			}
		}
	})
}
