package llm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// withUsual fills what its family, or most families, have where config.json says nothing.
// What the file says counts, also a 0.
func withUsual(c Config) Config {
	d := c.family().defaults
	c.RopeTheta, c.RMSNormEps = cmp.Or(c.RopeTheta, d.RopeTheta, 10000), cmp.Or(c.RMSNormEps, d.RMSNormEps, 1e-6)
	c.RopeLocalTheta, c.QueryScalar = cmp.Or(c.RopeLocalTheta, d.RopeLocalTheta), cmp.Or(c.QueryScalar, d.QueryScalar)
	c.EmbeddingMultiplier, c.AttentionMultiplier = cmp.Or(c.EmbeddingMultiplier, d.EmbeddingMultiplier), cmp.Or(c.AttentionMultiplier, d.AttentionMultiplier)
	c.ResidualMultiplier, c.LogitsScaling = cmp.Or(c.ResidualMultiplier, d.ResidualMultiplier), cmp.Or(c.LogitsScaling, d.LogitsScaling)
	return c
}

// checkWritten returns the faults of sizes that config.json has as 0. A size that is left
// out, or null, has its default; a 0 is none. Of max_position_embeddings a 0 says that it is
// not known: the engine itself writes it so.
func checkWritten(body []byte, c Config) error {
	var whole struct {
		Text json.RawMessage `json:"text_config"`
	}
	if c.sees && json.Unmarshal(body, &whole) == nil && len(whole.Text) > 0 {
		body = whole.Text
	}
	var written map[string]json.RawMessage
	if err := json.Unmarshal(body, &written); err != nil {
		return err
	}
	var faults []error
	for _, key := range []string{
		"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
	} {
		var n float64
		if value, is := written[key]; is && string(value) != "null" && json.Unmarshal(value, &n) == nil && n == 0 {
			faults = append(faults, fmt.Errorf("%s is 0; want 1 or more", key))
		}
	}
	return errors.Join(faults...)
}

// checkHead refuses a model that is made for something else than to write texts. What its
// head does would be left out.
func checkHead(body []byte) error {
	var c struct {
		Architectures []string `json:"architectures"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return wrongType(err)
	}
	for _, name := range c.Architectures {
		for _, head := range []string{"ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM", "ForMultipleChoice", "ForRewardModel", "RewardModel"} {
			if strings.HasSuffix(name, head) {
				return &UnknownArchitectureError{Have: fmt.Sprintf("%q (architectures)", name), Want: "models that write texts, such as …ForCausalLM"}
			}
		}
	}
	return nil
}

// checkNumbers checks what the model computes with.
func checkNumbers(c Config) error {
	for _, n := range []struct {
		key   string
		value float64
		ok    bool
	}{
		{"rope_theta", c.RopeTheta, c.RopeTheta > 0},
		{localTheta, c.RopeLocalTheta, c.RopeLocalTheta > 0 || !c.family().has(localTheta)},
		{queryScalar, c.QueryScalar, c.QueryScalar > 0 || !c.family().has(queryScalar)},
		{"logits_scaling", c.LogitsScaling, c.LogitsScaling != 0 || !c.family().has("logits_scaling")},
		{"embedding_multiplier", c.EmbeddingMultiplier, c.EmbeddingMultiplier != 0 || !c.family().has("embedding_multiplier")},
		{"attention_multiplier", c.AttentionMultiplier, c.AttentionMultiplier != 0 || !c.family().has("attention_multiplier")},
		{"residual_multiplier", c.ResidualMultiplier, c.ResidualMultiplier != 0 || !c.family().has("residual_multiplier")},
	} {
		if !n.ok {
			return fmt.Errorf("%s is %v, and nothing can be computed with it", n.key, n.value)
		}
	}
	if c.RMSNormEps < 0 {
		return fmt.Errorf("rms_norm_eps is %v; want 0 or more", c.RMSNormEps)
	}
	if c.MaxPositions < 0 {
		return fmt.Errorf("max_position_embeddings is %d; want 1 or more", c.MaxPositions)
	}
	for key, limit := range map[string]*float64{scoreCap: c.ScoreCap, logitCap: c.LogitCap} {
		if limit != nil && *limit <= 0 {
			return fmt.Errorf("%s is %v; want more than 0, or null", key, *limit)
		}
	}
	return nil
}

// checkLayers checks what config.json says of the layers one by one.
func checkLayers(c Config) error {
	for _, t := range c.LayerTypes {
		if t != fullLayer && t != slidingLayer {
			return &UnknownArchitectureError{Have: fmt.Sprintf("a layer of the type %q", t), Want: "layers of " + fullLayer + " and " + slidingLayer}
		}
	}
	for name, n := range map[string]int{"layer_types": len(c.LayerTypes), "no_rope_layers": len(c.NoRopeLayers)} {
		if n != 0 && n < c.Layers {
			return fmt.Errorf("%s has %d entries for %d layers", name, n, c.Layers)
		}
	}
	if c.SlidingWindow != nil && *c.SlidingWindow < 1 {
		return fmt.Errorf("sliding_window is %d; want at least 1, or null", *c.SlidingWindow)
	}
	return nil
}
