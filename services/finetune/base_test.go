package finetune

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// TestStoredInFourBits: a base that is stored in nf4 stays so with load_in_8bit, which a
// note says.
func TestStoredInFourBits(t *testing.T) {
	t.Parallel()
	for eight, notes := range map[bool]int{true: 1, false: 0} {
		b := baseModel{Base: inputs.Base{Weights: filepath.Join("..", "..", "llm", "testdata", "nf4", "double")}, quantised: true}
		if _, err := b.open(events.FineTuner{BaseModelID: "four", LoadIn8bit: eight, LoadIn4bit: !eight, Rank: 2, LoRAAlpha: 4, TargetModules: []string{"q_proj"}}); err != nil {
			t.Fatal(err)
		}
		if len(b.notes) != notes || notes == 1 && !strings.Contains(b.notes[0], `"four" that are stored in nf4 (bitsandbytes): they stay in 4 bits`) {
			t.Errorf("load_in_8bit %t: %q", eight, b.notes)
		}
	}
}

// TestTextPart: the text part of a model that sees is trained, and a note says what is
// not in the result.
func TestTextPart(t *testing.T) {
	t.Parallel()
	for full, notes := range map[bool]int{true: 1, false: 0} {
		b := baseModel{Base: inputs.Base{Weights: filepath.Join("..", "..", "llm", "testdata", "families", "gemma3_seeing")}, sees: true}
		if _, err := b.open(events.FineTuner{FullFinetuning: full, Rank: 2, LoRAAlpha: 4, TargetModules: []string{"q_proj"}}); err != nil {
			t.Fatal(err)
		}
		if len(b.notes) != notes || notes == 1 && !strings.Contains(b.notes[0], "without the vision part") {
			t.Errorf("full_finetuning %t: %q", full, b.notes)
		}
	}
}

// TestOptimizerKeys: the keys of an optimizer reach it, and nothing is another number
// where they are not there.
func TestOptimizerKeys(t *testing.T) {
	t.Parallel()
	c := trainConfig(events.FineTuner{Optimizer: "adamw_torch", AdamBeta1: 0.5, AdamBeta2: 0.6, AdamEpsilon: 1e-3, OptimArgs: "momentum=0.9"})
	if c.Beta1 != 0.5 || c.Beta2 != 0.6 || c.Epsilon != 1e-3 || c.Momentum != 0 {
		t.Errorf("AdamW: %+v", c)
	}
	c = trainConfig(events.FineTuner{Optimizer: "sgd", OptimArgs: "momentum=0.9, dampening=0.2, nesterov=True"})
	if c.Momentum != 0.9 || c.Dampening != 0.2 || !c.Nesterov {
		t.Errorf("SGD: %+v", c)
	}
	if c = trainConfig(events.FineTuner{Optimizer: "sgd"}); c.Momentum != 0 || c.Dampening != 0 || c.Nesterov || c.Beta1 != 0 {
		t.Errorf("without them: %+v", c)
	}
}
