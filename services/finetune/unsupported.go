package finetune

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Notes names the options of a specification that the built-in engine does not
// have. The engine adds notes about the data and the model that it found.
func Notes(s events.FineTuner) []string {
	var out []string
	add := func(asked bool, text string) {
		if asked {
			out = append(out, text)
		}
	}
	defaults := spec.Defaults().FineTuner
	add(s.IsMultimodel, "fine_tuner.is_multimodel: the built-in engine reads text only")
	add(s.FinetuneVisionLayers || s.FinetuneLanguageLayers || s.FinetuneAttentionModules || s.FinetuneMLPModules,
		"fine_tuner.finetune_*_layers and finetune_*_modules: they choose parts of vision-language models, which the built-in engine does not train")
	add(s.DType != "" && s.DType != "float32" && !s.FullFinetuning,
		fmt.Sprintf("fine_tuner.dtype = %q: the built-in engine trains in float32 and writes the adapter in float32", s.DType))
	add(s.LoadIn4bit, "fine_tuner.load_in_4bit: the built-in engine keeps the base weights as they are stored")
	add(s.LoadIn8bit, "fine_tuner.load_in_8bit: the built-in engine keeps the base weights as they are stored")
	add(s.Bias != "" && s.Bias != defaults.Bias, "fine_tuner.bias: the built-in engine leaves biases as they are")
	add(s.DatasetNumProc != 0 && s.DatasetNumProc != defaults.DatasetNumProc,
		fmt.Sprintf("fine_tuner.dataset_num_proc = %d: the built-in engine prepares the data in one process", s.DatasetNumProc))
	add(s.WandbProjectName != "", "fine_tuner.wandb_project_name: the built-in engine does not report to Weights & Biases")
	add(s.Optimizer != "" && s.Optimizer != defaults.Optimizer && s.Optimizer != "adamw",
		fmt.Sprintf("fine_tuner.optimizer = %q: the built-in engine uses AdamW", s.Optimizer))
	add(s.PushToHub, "fine_tuner.push_to_hub: nothing was pushed to the Hub; the model is among the run's artifacts")
	add(s.ReportTo != "" && s.ReportTo != defaults.ReportTo && s.ReportTo != "none",
		fmt.Sprintf("fine_tuner.report_to = %q: the built-in engine has no reporters; the tracker writes to MLflow", s.ReportTo))
	add(s.Packing, "fine_tuner.packing: the built-in engine trains each row as a sequence of its own")
	add(s.UseGradientCheckpointing.On(), "fine_tuner.use_gradient_checkpointing: the built-in engine keeps all activations")
	add(s.UseFlashAttention, "fine_tuner.use_flash_attention: the built-in engine has its own attention")
	add(s.LoftQConfig != "", "fine_tuner.loftq_config: the built-in engine has no LoftQ")
	return out
}
