package finetune_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/services/finetune"
)

// firstTokens is what a model says, as ids.
func firstTokens(t *testing.T, m *llm.Model) (said []int32) {
	t.Helper()
	err := m.Generate(t.Context(), [][]int32{{5, 6, 7, 8}}, llm.GenerateConfig{MaxNewTokens: 6}, func(_ int, ids []int32) error {
		said = ids
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestAdapterAsBase: an adapter as base model is trained further, from where it
// is; with full fine-tuning it is merged first. The result names the model
// below it.
func TestAdapterAsBase(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first := h.Dir(t, h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.LearningRate = 0.01
	}), events.ArtifactModel)
	if err := os.CopyFS(filepath.Join(h.Root, "adapter"), os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	start, err := llm.Open(filepath.Join(h.Root, "base"))
	if err == nil {
		err = start.LoadAdapter(first)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, full := range map[string]bool{"adapter": false, "whole": true} {
		still := func(s *events.Specification) { // a training that changes nothing
			small(s)
			s.FineTuner.BaseModelID, s.FineTuner.FullFinetuning, s.FineTuner.Rank = "adapter", full, 9
			s.FineTuner.LoRADropout = 0.25
			s.FineTuner.LearningRate, s.FineTuner.WeightDecay, s.FineTuner.DType = 1e-30, 0, "float32"
		}
		c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, still)
		dir := h.Dir(t, c, events.ArtifactModel)
		if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "fine_tuner.base_model_id is an adapter") {
			t.Errorf("%s: notes %q", name, notes)
		}
		got, err := llm.Open(dir)
		if !full {
			if got, err = llm.Open(filepath.Join(h.Root, "base")); err == nil {
				err = got.LoadAdapter(dir)
			}
			body, _ := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
			var config struct {
				Base    string  `json:"base_model_name_or_path"`
				Rank    int     `json:"r"`
				Dropout float64 `json:"lora_dropout"`
			}
			if json.Unmarshal(body, &config) != nil || config.Base != "base" || config.Rank != 2 || config.Dropout != 0.25 {
				t.Errorf("the adapter says %s", body)
			}
			const note = "fine_tuner.rank = 9: has no effect, because fine_tuner.base_model_id is an adapter, which is trained further as it is: rank = 2"
			if c.Used["fine_tuner.rank"] != "2" || c.Used["fine_tuner.lora_dropout"] != "" || !strings.Contains(strings.Join(c.Notes, "\n"), note) {
				t.Errorf("used %v, notes %q", c.Used, c.Notes)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		want, said := firstTokens(t, start), firstTokens(t, got)
		if len(want) == 0 || len(said) != len(want) || said[0] != want[0] || said[len(said)-1] != want[len(want)-1] {
			t.Errorf("%s: says %v, the start says %v", name, said, want)
		}
	}
}
