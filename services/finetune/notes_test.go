package finetune

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/config"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestNotesNameWhatIsNotDone: an option that this engine does not have is named
// and never ignored in silence; the defaults ask for none.
func TestNotesNameWhatIsNotDone(t *testing.T) {
	t.Parallel()
	if got := notes(spec.Defaults().FineTuner); len(got) > 0 {
		t.Errorf("the defaults: %q", got)
	}
	for assignment, want := range map[string]string{
		"is_multimodel=true":                     "is_multimodel",
		"finetune_vision_layers=true":            "finetune_*_layers",
		"finetune_language_layers=true":          "finetune_*_layers",
		"finetune_attention_modules=true":        "finetune_*_modules",
		"finetune_mlp_modules=true":              "finetune_*_modules",
		"load_in_4bit=true":                      "load_in_4bit",
		"load_in_8bit=true":                      "load_in_8bit",
		"bias=all":                               "fine_tuner.bias",
		"optimizer=paged_adamw_8bit":             "paged_adamw_8bit",
		"push_to_hub=true":                       "push_to_hub",
		"report_to=wandb":                        "wandb",
		"packing=true":                           "packing",
		"use_gradient_checkpointing=\"unsloth\"": "use_gradient_checkpointing",
		"use_flash_attention=true":               "use_flash_attention",
		"loftq_config=\"a\"":                     "loftq_config",
	} {
		var tree config.Tree
		if fault := tree.Set("fine_tuner." + assignment); fault != nil {
			t.Fatal(fault)
		}
		s, _ := spec.Decode(tree) // what is missing beside it is no matter here
		got := notes(s.FineTuner)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", assignment, got)
		}
	}
}
