package modelcard

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/used"
)

// tuner is the section of fine-tuning with what was used in place of keys that had no effect.
func (c Card) tuner() events.FineTuner {
	f := c.Run.Accepted.Specification.FineTuner
	f.Optimizer = used.Optimizer(f)
	if f.FullFinetuning {
		f.LoadIn4bit, f.LoadIn8bit = false, false
	}
	if c.Run.Used()["fine_tuner.load_in_8bit"] == "false" { // the base is stored in 4 bits
		f.LoadIn4bit, f.LoadIn8bit = true, false
	}
	if has, err := used.WithAdapter(f, c.AdapterConfig); len(c.AdapterConfig) > 0 && err == nil {
		f = has
	}
	return f
}

// began is the adapter that the training began with; empty if there was none.
func (c Card) began() string {
	if c.Run.Accepted == nil {
		return ""
	}
	asked := c.Run.Accepted.Specification.FineTuner.BaseModelID
	var config struct {
		Base string `json:"base_model_name_or_path"`
	}
	_, merged := c.Run.Accepted.Inputs.Files["fine_tuner.base_model_id.base"]
	further := json.Unmarshal(c.AdapterConfig, &config) == nil && config.Base != "" && config.Base != asked
	if !merged && !further {
		return ""
	}
	return shown(asked)
}

// training writes how the model was trained, with what was used.
func (c Card) training(b *strings.Builder) {
	f := c.tuner()
	void := map[string]bool{}
	for _, note := range spec.Notes(c.Run.Accepted.Specification) {
		void[note.Key] = true
	}
	done := c.completed(events.Finetune)
	ignored := notHonoured(done)
	b.WriteString("## Training\n\n")
	if adapter := c.began(); adapter != "" && c.Kind != Full {
		fmt.Fprintf(b, "The training began at the adapter `%s`, which decided its rank, scaling and modules.\n\n", code(adapter))
	} else if adapter != "" {
		fmt.Fprintf(b, "The training began at the adapter `%s`, merged into its base model.\n\n", code(adapter))
	}
	b.WriteString("| key | value |\n|---|---|\n")
	row := func(is bool, key string, value any) {
		if is && !void["fine_tuner."+key] && !ignored["fine_tuner."+key] {
			fmt.Fprintf(b, "| %s | %s |\n", key, code(fmt.Sprint(value)))
		}
	}
	dpo := f.Method == "dpo"
	row(dpo, "method", f.Method)
	row(dpo, "dpo_beta", f.DPOBeta)
	row(f.MaxSteps == 0, "epochs", f.Epochs)
	row(f.MaxSteps > 0, "max_steps", f.MaxSteps)
	writeSteps(b, done, f)
	delete(void, "fine_tuner.optimizer") // f has the one that was used, also where that has a note
	row(true, "optimizer", f.Optimizer)
	row(f.OptimArgs != "", "optim_args", f.OptimArgs)
	row(true, "learning_rate", f.LearningRate)
	row(true, "lr_scheduler_type", f.LRSchedulerType)
	row(len(f.LRSchedulerKwargs) > 0, "lr_scheduler_kwargs", spec.Value(events.Specification{FineTuner: f}, "fine_tuner.lr_scheduler_kwargs"))
	row(f.WarmupRatio > 0, "warmup_ratio", f.WarmupRatio)
	row(f.WarmupRatio == 0 && f.WarmupSteps > 0 && f.LRSchedulerType != "constant", "warmup_steps", f.WarmupSteps)
	row(f.DeviceTrainBatchSize > 0, "device_train_batch_size", f.DeviceTrainBatchSize)
	row(f.GradAccumulation > 0, "grad_accumulation", f.GradAccumulation)
	row(f.Devices > 1, "devices", f.Devices)
	row(true, "max_sequence_length", f.MaxSequenceLength)
	row(f.Packing, "packing", f.Packing)
	row(true, "seed", f.Seed)
	row(f.LoadIn4bit, "load_in_4bit", true)
	row(f.LoadIn8bit && !f.LoadIn4bit, "load_in_8bit", true) // of both, the fewer bits count
	if c.Kind != Full {
		writeAdapter(b, f)
	}
}

// notHonoured are the keys that the trainer did not honour.
func notHonoured(done *events.PhaseCompleted) map[string]bool {
	keys := map[string]bool{}
	if done != nil {
		for _, note := range done.Notes {
			if key, ok := used.NotHonoured(note); ok {
				keys[key] = true
			}
		}
	}
	return keys
}

// writeAdapter writes the rows about the adapter that was trained. All of them say what it has,
// which no other key makes void.
func writeAdapter(b *strings.Builder, f events.FineTuner) {
	fmt.Fprintf(b, "| rank | %d |\n| lora_alpha | %g |\n| lora_dropout | %g |\n| target_modules | %s |\n",
		f.Rank, f.LoRAAlpha, f.LoRADropout, code(strings.Join(f.TargetModules, ", ")))
	for _, one := range []struct {
		is    bool
		key   string
		value any
	}{
		{f.UseRSLoRA, "use_rslora", true},
		{f.UseDoRA, "use_dora", true},
		{f.Bias != "" && f.Bias != "none", "bias", f.Bias},
		{len(f.ModulesToSave) > 0, "modules_to_save", strings.Join(f.ModulesToSave, ", ")},
		{len(f.RankPattern) > 0, "rank_pattern", pattern(f.RankPattern)},
		{len(f.AlphaPattern) > 0, "alpha_pattern", pattern(f.AlphaPattern)},
	} {
		if one.is {
			fmt.Fprintf(b, "| %s | %s |\n", one.key, code(fmt.Sprint(one.value)))
		}
	}
}

// pattern is a table of numbers as JSON, whose keys have an order.
func pattern(table map[string]float64) string {
	body, _ := json.Marshal(table) // of finite numbers: never fails
	return string(body)
}

// writeSteps writes how many steps the training made, and of which one the model is.
func writeSteps(b *strings.Builder, done *events.PhaseCompleted, f events.FineTuner) {
	if done == nil {
		return
	}
	made, planned, best := done.Statistics[events.StatisticSteps], done.Statistics[events.StatisticPlannedSteps], done.Statistics[events.StatisticBestStep]
	switch {
	case made > 0 && planned > made:
		fmt.Fprintf(b, "| steps | %.0f of %.0f: the training ended early |\n", made, planned)
	case made > 0:
		fmt.Fprintf(b, "| steps | %.0f |\n", made)
	}
	switch {
	case best > 0 && f.LoadBestModelAtEnd:
		fmt.Fprintf(b, "| step of the model | %.0f, with the lowest eval_loss |\n", best)
	case best > 0 && planned > made:
		fmt.Fprintf(b, "| step of the lowest eval_loss | %.0f; the model is that of the last step |\n", best)
	}
}
