// Package pythontrainer knows where the trainers for TRL and Unsloth report to, and what they
// refuse whatever the machine is, so that a run is not accepted that they cannot train.
package pythontrainer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// The engines, and the method for preferences.
const (
	trl     = "trl"
	unsloth = "unsloth"
	dpo     = "dpo"
)

// Faults returns what is wrong for an engine in a section fine_tuner; nil for another
// engine than these two.
func Faults(f events.FineTuner, engine string) (faults structconf.Faults) {
	if engine != trl && engine != unsloth {
		return nil
	}
	refuse := func(wrong bool, key, value, message string, allowed ...string) {
		if wrong {
			faults = append(faults, structconf.Fault{Key: "fine_tuner." + key, Value: value, Message: message, Allowed: strings.Join(allowed, ", ")})
		}
	}
	prefers, quantised := f.Method == dpo, f.LoadIn4bit || f.LoadIn8bit
	refuse(f.FullFinetuning && quantised, "full_finetuning", "true", "trains no quantised weights; set load_in_4bit and load_in_8bit to false")
	if f.LoftQConfig != "" && !f.FullFinetuning {
		refuse(!isLoftQ(f.LoftQConfig), "loftq_config", strconv.Quote(f.LoftQConfig), "cannot be used", "the bits 4 or 8", `JSON such as {"loftq_bits": 4, "loftq_iter": 1}`)
		refuse(quantised, "loftq_config", strconv.Quote(f.LoftQConfig), "quantises by itself; set load_in_4bit and load_in_8bit to false")
	}
	refuse(!f.FullFinetuning && slices.Contains(f.TargetModules, "lm_head"), "target_modules", `"lm_head"`, "gets no adapter from TRL; leave it out")
	refuse(engine == unsloth && prefers, "method", strconv.Quote(dpo), `is not what the engine "unsloth" has; set engine = "trl"`)
	if !f.IsMultimodel {
		refuse(f.ImageColumn != "", "is_multimodel", "false", "means that the model does not see, and fine_tuner.image_column names images; set it to true")
		return faults
	}
	const asked = "fine_tuner.is_multimodel = true trains no %s; set %s to true"
	refuse(!f.FinetuneVisionLayers && !f.FinetuneLanguageLayers, "finetune_language_layers", "false", fmt.Sprintf(asked, "layers", "it or finetune_vision_layers"))
	refuse(!f.FinetuneAttentionModules && !f.FinetuneMLPModules, "finetune_attention_modules", "false", fmt.Sprintf(asked, "modules", "it or finetune_mlp_modules"))
	refuse(engine == trl && prefers, "method", strconv.Quote(dpo), "does not see; set is_multimodel to false")
	refuse(f.Packing, "packing", "true", "cannot join rows with images; set it or is_multimodel to false")
	return faults
}

// isLoftQ reports whether a value is one that PEFT's LoftQ has.
func isLoftQ(text string) bool {
	number := func(v any, from, to float64, steps ...float64) bool {
		n, ok := v.(float64)
		return ok && n >= from && n <= to && n == float64(int64(n)) && (len(steps) == 0 || slices.Contains(steps, n))
	}
	var value any
	if json.Unmarshal([]byte(strings.TrimSpace(text)), &value) != nil {
		return false
	}
	object, ok := value.(map[string]any)
	if !ok {
		return number(value, 4, 8, 4, 8)
	}
	for name, v := range object {
		switch {
		case name == "loftq_bits" && number(v, 4, 8, 4, 8):
		case name == "loftq_iter" && number(v, 1, 99):
		default:
			return false
		}
	}
	return true
}
