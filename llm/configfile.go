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

// encodeConfig returns config.json as transformers reads it.
func encodeConfig(c Config) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if body, err = withPoints(body); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, append(body, '\n'), "", "  "); err != nil {
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
		case slices.Contains(decimals(), key) && !bytes.ContainsAny(value, ".enu"): // null, and 1e-6, stay
			value = append(value, '.', '0')
		}
		if err != nil {
			return nil, err
		}
		entries[key] = value
	}
	return json.Marshal(entries)
}
