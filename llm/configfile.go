package llm

import (
	"bytes"
	"encoding/json"
	"slices"
)

// decimals are the keys of config.json that are numbers with a point in the classes of
// transformers, which since version 5 refuse a number without one. All others are whole
// numbers there, also where the engine reads a fraction, or of either kind.
func decimals() []string {
	return []string{
		"rms_norm_eps", "initializer_range", "rope_theta", "rope_local_base_freq", "partial_rotary_factor", "attn_logit_softcapping",
		"final_logit_softcapping", "embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling",
		"factor", "attention_factor", "low_freq_factor", "high_freq_factor",
	}
}

// describe is the config.json of the model with weights of dtype.
func (m *Model) describe(dtype string) ([]byte, error) {
	if m.file == nil {
		cfg := m.cfg.explicit()
		cfg.TorchDType = dtype
		return encodeConfig(cfg)
	}
	entries, err := m.entries()
	if err != nil {
		return nil, err
	}
	var c Config
	if raw, is := entries["architectures"]; is {
		if err := json.Unmarshal(raw, &c.Architectures); err != nil {
			return nil, wrongType(err)
		}
	}
	if len(c.Architectures) == 0 {
		entries["architectures"], _ = json.Marshal([]string{m.cfg.family().architecture}) // of texts: never fails
	}
	delete(entries, "quantization_config") // the weights are floats now
	delete(entries, "auto_map")            // names files of the checkpoint with its code, which lie there
	read, err := parseConfig("config.json", m.file)
	if err != nil {
		return nil, err
	}
	reword(entries, dtype, read.TieWordEmbeddings && !m.cfg.TieWordEmbeddings)
	body, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	if body, err = withPoints(body); err != nil {
		return nil, err
	}
	return indent(body)
}

// entries are those of the config.json that the model was read from: of one that sees,
// those of its text part, as a model of its own has them.
func (m *Model) entries() (map[string]json.RawMessage, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(m.file, &whole); err != nil || !m.cfg.sees {
		return whole, err
	}
	text := map[string]json.RawMessage{}
	if raw := whole["text_config"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
	}
	if text == nil { // null
		text = map[string]json.RawMessage{}
	}
	for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} {
		if raw, is := whole[key]; is && text[key] == nil {
			text[key] = raw
		}
	}
	delete(text, "architectures")
	text["model_type"], _ = json.Marshal(m.cfg.ModelType) // of a text, and of a truth value below: never fail
	text["tie_word_embeddings"], _ = json.Marshal(m.cfg.TieWordEmbeddings)
	return text, nil
}

// RewriteConfig is the config.json of a checkpoint whose weights were written anew: in
// another type, unless dtype is empty, and, if untied, with a head that is not the
// embedding. All else is as it was, also what is null: without a key readers take a
// default, which may be another value.
func RewriteConfig(body []byte, dtype string, untied bool) ([]byte, error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, err
	}
	reword(entries, dtype, untied)
	body, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	return indent(body)
}

func reword(entries map[string]json.RawMessage, dtype string, untied bool) {
	if untied {
		entries["tie_word_embeddings"] = json.RawMessage("false")
	}
	if dtype == "" {
		return
	}
	name := "torch_dtype" // transformers 5 reads both
	if _, ok := entries["dtype"]; ok {
		name = "dtype"
		delete(entries, "torch_dtype")
	}
	entries[name], _ = json.Marshal(dtype) // of a text: never fails
}

// explicit is the configuration with a value for each layer where its family has a
// default that depends on others.
func (c Config) explicit() Config {
	f := c.family()
	if len(c.Architectures) == 0 {
		c.Architectures = []string{f.architecture}
	}
	if f.has("hidden_activation") {
		c.HiddenActivation = c.HiddenAct
	}
	types, turns := make([]string, c.Layers), make([]int, c.Layers)
	for l := range c.Layers {
		types[l] = map[bool]string{true: slidingLayer, false: fullLayer}[f.window(c, l)]
		turns[l] = map[bool]int{true: 1}[c.turns(l)]
	}
	if f.has("layer_types") {
		c.LayerTypes = types
	}
	if f.has("no_rope_layers") {
		c.NoRopeLayers, c.NoRopeInterval = turns, 0
	}
	return c
}

// encodeConfig returns config.json as transformers reads it, with every key that the
// family reads: no reader is to take a default that is another value.
func encodeConfig(c Config) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, err
	}
	for _, key := range c.family().foreign() {
		delete(entries, key)
	}
	if body, err = json.Marshal(entries); err != nil {
		return nil, err
	}
	if body, err = withPoints(body); err != nil {
		return nil, err
	}
	return indent(body)
}

// indent lays an object out for a person.
func indent(object []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, append(object, '\n'), "", "  "); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// withPoints writes the decimals of an object, and of those in it, with a point.
func withPoints(object json.RawMessage) (json.RawMessage, error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(object, &entries); err != nil {
		return nil, err
	}
	for key, value := range entries {
		var err error
		switch {
		case value[0] == '{':
			value, err = withPoints(value)
		case slices.Contains(decimals(), key) && isWhole(value):
			value = append(value, '.', '0')
		}
		if err != nil {
			return nil, err
		}
		entries[key] = value
	}
	return json.Marshal(entries)
}

// isWhole reports whether a value is a number without a point: 1e-6 has none, and stays.
func isWhole(value json.RawMessage) bool { return len(bytes.Trim(value, "-0123456789")) == 0 }
