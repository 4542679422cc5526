package spec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// WithAdapter returns the section of fine-tuning with what an adapter_config.json says in
// place of the keys that describe an adapter. The error is that of a file that is no such
// one.
func WithAdapter(f events.FineTuner, config []byte) (events.FineTuner, error) {
	c := struct {
		Rank    int                `json:"r"`
		Alpha   float64            `json:"lora_alpha"`
		Dropout float64            `json:"lora_dropout"`
		Targets json.RawMessage    `json:"target_modules"`
		Bias    string             `json:"bias"`
		RSLoRA  bool               `json:"use_rslora"`
		DoRA    bool               `json:"use_dora"`
		Save    []string           `json:"modules_to_save"`
		Ranks   map[string]float64 `json:"rank_pattern"`
		Alphas  map[string]float64 `json:"alpha_pattern"`
	}{Rank: 8, Alpha: 8, Bias: "none"} // PEFT's defaults
	if err := json.Unmarshal(config, &c); err != nil {
		return f, fmt.Errorf("adapter_config.json: %w", err)
	}
	var names []string
	var expression string
	switch {
	case json.Unmarshal(c.Targets, &names) == nil:
		slices.Sort(names) // PEFT writes a set
	case json.Unmarshal(c.Targets, &expression) == nil:
		names = []string{expression}
	}
	if !sameNames(names, f.TargetModules) {
		f.TargetModules = names
	}
	f.Rank, f.LoRAAlpha, f.LoRADropout, f.Bias, f.UseRSLoRA, f.UseDoRA = c.Rank, c.Alpha, c.Dropout, c.Bias, c.RSLoRA, c.DoRA
	f.RankPattern, f.AlphaPattern = c.Ranks, c.Alphas
	if !sameNames(c.Save, f.ModulesToSave) {
		f.ModulesToSave = c.Save
	}
	return f, nil
}

// sameNames reports whether two lists have the same names, in any order.
func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Optimizer returns the optimizer that a training has: that of its key, or the one that
// the engine takes in its place.
func Optimizer(f events.FineTuner) string {
	const key = "fine_tuner.optimizer"
	s := events.Specification{FineTuner: f}
	for _, a := range unsupported(s, changedKeys(s), events.Finetune, engineOf(s, events.Finetune)) {
		if a.key == key {
			return Defaults().FineTuner.Optimizer
		}
	}
	return cmp.Or(f.Optimizer, Defaults().FineTuner.Optimizer)
}

// Used returns the keys of fine-tuning for which a training used other values than its
// specification has, with these as a file has them; nil if there are none.
func Used(asked, used events.FineTuner) map[string]string {
	var out map[string]string
	before, after := events.Specification{FineTuner: asked}, events.Specification{FineTuner: used}
	for _, key := range Changed(before, after) {
		if out == nil {
			out = map[string]string{}
		}
		out[key] = Value(after, key)
	}
	return out
}

// AdapterBaseNotes returns a note for each key of a specification that has no effect since
// the model to start from is an adapter, which is trained further. config is its
// adapter_config.json, and set reports whether a person set a key; nil: they set those
// that differ from their defaults. A key that says what the adapter has is none of them.
func AdapterBaseNotes(s events.Specification, config []byte, set func(key string) bool) structconf.Faults {
	if s.FineTuner.FullFinetuning || !s.Pipeline.EnableFinetuning { // it is merged, or not trained
		return nil
	}
	has, err := WithAdapter(s.FineTuner, config)
	if err != nil { // which is a fault of the model
		return nil
	}
	if engineOf(s, events.Finetune) == Builtin {
		has.LoRADropout = s.FineTuner.LoRADropout // it is honoured
	}
	if set == nil {
		changed := changedKeys(s)
		set = func(key string) bool { _, is := changed[key]; return is }
	}
	var out structconf.Faults
	used := Used(s.FineTuner, has)
	for _, k := range Keys() {
		key := k.Section + "." + k.Name
		if value, differs := used[key]; differs && set(key) {
			out = append(out, structconf.Fault{
				Key: key, Value: quote(key, Value(s, key)),
				Message: "has no effect, because fine_tuner.base_model_id is an adapter, which is trained further as it is: " + k.Name + " = " + quote(key, value),
			})
		}
	}
	return out
}
