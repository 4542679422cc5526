// Package peft reads and writes the adapter_config.json of PEFT, and says which modules
// of a model an adapter is on, with which rank and scaling, as PEFT finds them.
package peft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// Config is adapter_config.json. What follows Fan is left out where it is not set, as
// in files of before.
type Config struct {
	Type     string  `json:"peft_type"`
	TaskType string  `json:"task_type"`
	Base     string  `json:"base_model_name_or_path"`
	Rank     int     `json:"r"`
	Alpha    float64 `json:"lora_alpha"`
	Dropout  float64 `json:"lora_dropout"`
	Targets  Targets `json:"target_modules"`
	// Bias says which biases learn too: "none", "all", or "lora_only", those of the
	// modules with an adapter.
	Bias          string `json:"bias"`
	RSLoRA        bool   `json:"use_rslora"`
	InferenceMode bool   `json:"inference_mode"`
	Fan           bool   `json:"fan_in_fan_out"`

	DoRA bool `json:"use_dora,omitempty"`
	// Save are the ends of names of modules that learn as a whole.
	Save []string `json:"modules_to_save,omitempty"`
	// Ranks and Alphas are other ranks and alphas of modules.
	Ranks   Pattern `json:"rank_pattern,omitempty"`
	Alphas  Pattern `json:"alpha_pattern,omitempty"`
	Exclude Targets `json:"exclude_modules,omitzero"`
	// Layers, where there are any, are the only layers with an adapter, and LayerLists
	// the names of lists of layers; none: any list.
	Layers     Numbers `json:"layers_to_transform,omitempty"`
	LayerLists Texts   `json:"layers_pattern,omitempty"`
}

// UnsupportedError is an option that changes what an adapter computes and that the
// engine does not have. Its value is what the file has.
type UnsupportedError struct {
	Option string
	Value  any
	Hint   string // what to do, if there is anything
}

func (e *UnsupportedError) Error() string {
	value, err := json.Marshal(e.Value)
	if err != nil {
		value = fmt.Append(nil, e.Value)
	}
	text := fmt.Sprintf("%s = %s is not supported by the built-in engine", e.Option, value)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// plainStart reports whether an adapter began beside the base model as it is. Others, such
// as "pissa" and "olora", take a part of it into the adapter, and PEFT takes that part from
// the base model again each time it loads them. Source: LoraLayer.update_layer of PEFT.
func plainStart(initLoRAWeights any) bool {
	switch v := initLoRAWeights.(type) {
	case nil, bool:
		return true
	case string:
		return slices.Contains([]string{"gaussian", "orthogonal", "eva"}, v)
	}
	return false
}

// unsupported are the options that change what an adapter computes and that the
// engine does not have.
func unsupported() []string {
	return []string{
		"fan_in_fan_out", "lora_bias", "trainable_token_indices", "layer_replication", "target_parameters", "use_qalora", "use_bdlora",
		"alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "velora_config", "ensure_weight_tying",
	}
}

// Read reads a file. An error is an [*UnsupportedError], or says what is wrong.
func Read(path string) (Config, error) {
	c := Config{Rank: 8, Alpha: 8, Bias: "none"} // PEFT's defaults
	body, err := regularfile.Read(path)
	if err != nil {
		return c, err
	}
	var all map[string]any
	if err := errors.Join(json.Unmarshal(body, &c), json.Unmarshal(body, &all)); err != nil {
		return c, err
	}
	for _, option := range unsupported() {
		if set(all[option]) {
			return c, &UnsupportedError{Option: option, Value: all[option]}
		}
	}
	if !slices.Contains([]string{"none", "all", "lora_only"}, c.Bias) {
		return c, &UnsupportedError{Option: "bias", Value: c.Bias}
	}
	if start := all["init_lora_weights"]; !plainStart(start) {
		return c, &UnsupportedError{
			Option: "init_lora_weights", Value: start,
			Hint: "such an adapter belongs to a changed base model; PEFT's save_pretrained with path_initial_model_for_weight_conversion makes one for the base model as it is",
		}
	}
	return c, nil
}

// Write writes a file.
func (c Config) Write(path string) error {
	body, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o600)
}

// set reports whether an option is anything but absent, false or empty.
func set(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// Targets are modules: a list of names, or one string that is "all-linear" or a regular
// expression for whole paths.
type Targets struct {
	Names   []string
	Pattern string
}

// IsZero reports whether there are none.
func (t Targets) IsZero() bool { return len(t.Names) == 0 && t.Pattern == "" }

// UnmarshalJSON reads either form.
func (t *Targets) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &t.Names) == nil {
		return nil
	}
	return json.Unmarshal(raw, &t.Pattern)
}

// MarshalJSON writes the form that was read.
func (t Targets) MarshalJSON() ([]byte, error) {
	if t.Pattern != "" {
		return json.Marshal(t.Pattern)
	}
	return json.Marshal(t.Names)
}

// Entry is a value for the modules that an expression fits.
type Entry struct {
	Expression string
	Value      float64
}

// Pattern is a table of values for modules, of which the first that fits counts.
type Pattern []Entry

// PatternOf is a table in the order of its expressions.
func PatternOf(table map[string]float64) Pattern {
	var out Pattern
	for _, name := range slices.Sorted(maps.Keys(table)) {
		out = append(out, Entry{name, table[name]})
	}
	return out
}

// UnmarshalJSON reads an object, whose order is that of the table.
func (p *Pattern) UnmarshalJSON(raw []byte) error {
	var values map[string]float64
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	*p = nil
	d := json.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := d.Token()
		if err != nil {
			return nil // the end
		}
		if name, ok := token.(string); ok {
			*p = append(*p, Entry{name, values[name]})
		}
	}
}

// MarshalJSON writes an object.
func (p Pattern) MarshalJSON() ([]byte, error) {
	out := map[string]float64{}
	for _, e := range p {
		out[e.Expression] = e.Value
	}
	return json.Marshal(out)
}

// Numbers are whole numbers: a list of them, or one.
type Numbers []int

// UnmarshalJSON reads either form.
func (n *Numbers) UnmarshalJSON(raw []byte) error {
	var one *int
	if err := json.Unmarshal(raw, &one); err == nil {
		if *n = nil; one != nil {
			*n = Numbers{*one}
		}
		return nil
	}
	return json.Unmarshal(raw, (*[]int)(n))
}

// Texts are texts: a list of them, or one.
type Texts []string

// UnmarshalJSON reads either form.
func (t *Texts) UnmarshalJSON(raw []byte) error {
	var one *string
	if err := json.Unmarshal(raw, &one); err == nil {
		if *t = nil; one != nil {
			*t = Texts{*one}
		}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(t))
}
