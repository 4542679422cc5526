package finetune_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/hostmemory/hostmemorytest"
	"github.com/tunebus/tunebus/services/finetune"
)

// TestTooLittleMemory: a training that does not fit is refused at once, with what it
// needs, what there is, and what would help. Where the weights alone do not fit, that is
// before a row is prepared.
func TestTooLittleMemory(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Write(t, "long.jsonl", strings.Repeat(`{"question":"Where?","answer":"`+strings.Repeat("At pier 4. ", 200)+`"}`+"\n", 8))
	for name, c := range map[string]struct {
		bytes  int64
		change func(f *events.FineTuner)
		want   []string
		not    []string
	}{
		"the weights": {1_000_000, func(f *events.FineTuner) { f.TrainingDataID = "nothing.jsonl" }, []string{"the control group of the process (memory.max) has 1.0 MB left", "weights", "gradients", "still too much"}, nil},
		"the activations": {60_000_000, func(f *events.FineTuner) { f.DeviceTrainBatchSize = 8 },
			[]string{"activations", "It would need", "fine_tuner.device_train_batch_size = 1"}, []string{"full_finetuning", "optimizer =", "still too much", "max_sequence_length", "together"}},
		"several keys together": {20_000_000, func(f *events.FineTuner) { f.DeviceTrainBatchSize = 8 },
			[]string{"It would need", " with fine_tuner.device_train_batch_size = 1 and fine_tuner.max_sequence_length = 256 together"}, []string{"still too much", " or "}},
		"all weights, and an adapter is too large": {9_500_000, func(f *events.FineTuner) { f.FullFinetuning, f.Optimizer, f.TrainingDataID = true, "sgd", "rows.jsonl" },
			[]string{"It would need", " with fine_tuner.full_finetuning = false and fine_tuner.load_in_4bit = true together"}, []string{"adamw_8bit", "optimizer 0"}},
		"the rank": {25_000_000, func(f *events.FineTuner) { f.Rank, f.TrainingDataID = 60_000, "rows.jsonl" },
			[]string{"fine_tuner.rank = 16"}, []string{"smaller model", "modules_to_save", "rank_pattern"}},
		"the rank of one module": {25_000_000, func(f *events.FineTuner) {
			f.RankPattern, f.TrainingDataID = map[string]float64{"q_proj": 60_000}, "rows.jsonl"
		},
			[]string{"fine_tuner.rank_pattern = {}"}, []string{"smaller model", "fine_tuner.rank ="}},
		"whole modules": {1_000_000, func(f *events.FineTuner) {
			f.ModulesToSave, f.TrainingDataID = []string{"embed_tokens", "lm_head"}, "rows.jsonl"
		},
			[]string{"fine_tuner.modules_to_save = []"}, []string{"fine_tuner.rank"}},
		"all weights": {25_000_000, func(f *events.FineTuner) { f.FullFinetuning, f.TrainingDataID = true, "rows.jsonl" }, []string{"optimizer", "fine_tuner.full_finetuning = false"}, []string{"max_sequence_length"}},
	} {
		got := h.Run(t, finetune.Engine{Host: hostmemorytest.Limited(t, c.bytes)}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			f := &s.FineTuner
			f.TrainingDataID, f.ValidationDataID, f.MaxSequenceLength = "long.jsonl", "", 512
			c.change(f)
		})
		if got.Conclusion != events.Failure || got.Error == nil || got.Error.Code != "not_enough_memory" || got.Attempt != 1 {
			t.Errorf("%s: completed with %s, %+v", name, got.Conclusion, got.Error)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error.Message, want) {
				t.Errorf("%s: %q does not say %q", name, got.Error.Message, want)
			}
		}
		for _, not := range c.not {
			if strings.Contains(got.Error.Message, not) {
				t.Errorf("%s: %q says %q", name, got.Error.Message, not)
			}
		}
	}
}

// TestMemoryIsTold: a training that fits tells what the process was going to take, and
// what it took.
func TestMemoryIsTold(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, finetune.Engine{Host: hostmemorytest.Limited(t, 1<<40)}, events.Finetune, events.Inputs{}, small)
	said := c.Statistics["estimated_memory_bytes"]
	if c.Conclusion != events.Success || said < 2000<<10+5e6 || said > 2000<<10+50e6 || c.Statistics["peak_memory_bytes"] != 3000<<10 {
		t.Errorf("%s, %v", c.Conclusion, c.Statistics)
	}
}
