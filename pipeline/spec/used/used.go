// Package used says what a training uses in place of keys of its specification that have
// no effect: an adapter that is trained further decides its rank, and an engine may have
// another optimizer.
package used

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
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
	f.LoftQConfig = "" // it is how a new adapter begins
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
	usual := spec.Defaults().FineTuner.Optimizer
	for _, s := range spec.Supports("fine_tuner", "optimizer") {
		if s.Engine == engineOf(f) && !s.Honoured && !slices.Contains(s.Values, f.Optimizer) {
			return usual
		}
	}
	return cmp.Or(f.Optimizer, usual)
}

// engineOf is the engine that trains. An event of an earlier version may name none.
func engineOf(f events.FineTuner) string { return cmp.Or(f.Engine, spec.Builtin) }

// Values returns the keys of fine-tuning for which a training used other values than its
// specification has, with these as a file has them; nil if there are none.
func Values(asked, used events.FineTuner) map[string]string {
	var out map[string]string
	before, after := events.Specification{FineTuner: asked}, events.Specification{FineTuner: used}
	for _, key := range spec.Changed(before, after) {
		if out == nil {
			out = map[string]string{}
		}
		out[key] = spec.Value(after, key)
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
	if engineOf(s.FineTuner) == spec.Builtin {
		has.LoRADropout, has.LoftQConfig = s.FineTuner.LoRADropout, s.FineTuner.LoftQConfig // it honours the one, and has a note of the other
	}
	if set == nil {
		changed := spec.Changed(spec.Defaults(), s)
		set = func(key string) bool { return slices.Contains(changed, key) }
	}
	var out structconf.Faults
	decided := Values(s.FineTuner, has)
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		if value, differs := decided[key]; differs && set(key) {
			out = append(out, structconf.Fault{
				Key: key, Value: spec.Quote(key, spec.Value(s, key)),
				Message: "has no effect, because fine_tuner.base_model_id is an adapter, which is trained further as it is: " + k.Name + " = " + spec.Quote(key, value),
			})
		}
	}
	return out
}

// byTrainer ends the note of a key that a trainer does not honour.
const byTrainer = " does not honour it"

// NotHonouredBy is the note of a phase about a key, section.key, that its trainer does not
// honour.
func NotHonouredBy(trainer, key, value string) string {
	return fmt.Sprintf("%s = %s: the trainer %s%s", key, value, trainer, byTrainer)
}

// NotHonoured returns the key that a note of [NotHonouredBy] is about; ok is false for
// another note.
func NotHonoured(note string) (key string, ok bool) {
	key, _, ok = strings.Cut(note, " = ")
	return key, ok && strings.HasSuffix(note, byTrainer)
}
