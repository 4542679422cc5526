package llm

import (
	"cmp"
	"fmt"
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

// checkNumbers checks what the model computes with.
func checkNumbers(c Config) error {
	for _, n := range []struct {
		key   string
		value float64
		ok    bool
	}{
		{"rope_theta", c.RopeTheta, c.RopeTheta > 0},
		{"rope_local_base_freq", c.RopeLocalTheta, c.RopeLocalTheta > 0 || !c.family().reads.localTheta},
		{"query_pre_attn_scalar", c.QueryScalar, c.QueryScalar > 0 || !c.family().reads.queryScalar},
		{"logits_scaling", c.LogitsScaling, c.LogitsScaling != 0 || !c.family().reads.multipliers},
		{"embedding_multiplier", c.EmbeddingMultiplier, c.EmbeddingMultiplier != 0 || !c.family().reads.multipliers},
		{"attention_multiplier", c.AttentionMultiplier, c.AttentionMultiplier != 0 || !c.family().reads.multipliers},
		{"residual_multiplier", c.ResidualMultiplier, c.ResidualMultiplier != 0 || !c.family().reads.multipliers},
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
	for key, limit := range map[string]*float64{"attn_logit_softcapping": c.ScoreCap, "final_logit_softcapping": c.LogitCap} {
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
