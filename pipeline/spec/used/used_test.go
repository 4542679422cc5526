package used_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/used"
)

const adapterConfig = `{"r": 32, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["v_proj", "q_proj"], "bias": "none", "use_dora": true, "rank_pattern": {"q_proj": 4}}`

// TestUsedOfAnAdapter: what an adapter has takes the place of the keys that describe one,
// and a list in another order is the same list.
func TestUsedOfAnAdapter(t *testing.T) {
	t.Parallel()
	asked := spec.Defaults().FineTuner
	asked.Rank, asked.LoRAAlpha, asked.TargetModules = 8, 8, events.Modules{"q_proj", "v_proj"}
	has, err := used.WithAdapter(asked, []byte(adapterConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"fine_tuner.rank": "32", "fine_tuner.lora_dropout": "0.1", "fine_tuner.use_dora": "true"}
	got := used.Values(asked, has)
	delete(got, "fine_tuner.rank_pattern") // a table, as a file has it
	if !maps.Equal(got, want) || has.RankPattern["q_proj"] != 4 {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := used.WithAdapter(asked, []byte(`{"r": "many"}`)); err == nil || !strings.Contains(err.Error(), "adapter_config.json") {
		t.Errorf("of a damaged file: %v", err)
	}
	if has, err := used.WithAdapter(asked, []byte(`{"target_modules": ".*_proj", "lora_alpha": null}`)); err != nil || len(has.TargetModules) != 1 || has.TargetModules[0] != ".*_proj" || has.Rank != 8 {
		t.Errorf("of an expression: %+v, %v", has, err)
	}
}

// TestAdapterBaseNotes: each key that a person set and that the adapter decides is named with
// what holds, and none where all weights are trained or nothing is.
func TestAdapterBaseNotes(t *testing.T) {
	t.Parallel()
	s := spec.Defaults()
	s.FineTuner.Rank, s.FineTuner.LoRAAlpha, s.FineTuner.LoRADropout = 8, 64, 0.5
	notes := strings.Join(used.AdapterBaseNotes(s, []byte(adapterConfig), nil).Lines(), "\n")
	for _, want := range []string{
		"fine_tuner.rank = 8: has no effect, because fine_tuner.base_model_id is an adapter, which is trained further as it is: rank = 32",
		"fine_tuner.lora_alpha = 64: has no effect",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "lora_dropout") || strings.Contains(notes, "use_dora") || strings.Contains(notes, "target_modules") {
		t.Errorf("the built-in engine has the dropout of the key, and the others are not set:\n%s", notes)
	}
	s.FineTuner.Engine = "trl"
	if notes := strings.Join(used.AdapterBaseNotes(s, []byte(adapterConfig), nil).Lines(), "\n"); !strings.Contains(notes, "fine_tuner.lora_dropout = 0.5: has no effect") {
		t.Errorf("trl has the dropout of the adapter:\n%s", notes)
	}
	set := func(key string) bool { return key == "fine_tuner.use_dora" } // to its default
	if notes := used.AdapterBaseNotes(s, []byte(adapterConfig), set); len(notes) != 1 || notes[0].Value != "false" {
		t.Errorf("a default that was set: %v", notes)
	}
	for _, change := range []func(){func() { s.FineTuner.FullFinetuning = true }, func() { s.FineTuner.FullFinetuning, s.Pipeline.EnableFinetuning = false, false }} {
		if change(); len(used.AdapterBaseNotes(s, []byte(adapterConfig), nil)) != 0 {
			t.Errorf("notes of %+v", s.FineTuner)
		}
	}
}

// TestOptimizer is the one that is trained with.
func TestOptimizer(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"builtin", "lion_8bit", "adamw_torch"}, {"builtin", "sgd", "sgd"}, {"builtin", "", "adamw_torch"}, {"trl", "lion_8bit", "lion_8bit"}} {
		if got := used.Optimizer(events.FineTuner{Engine: c[0], Optimizer: c[1]}); got != c[2] {
			t.Errorf("%s, %q: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
