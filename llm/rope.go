package llm

import (
	"fmt"
	"math"
)

// The rotary embeddings that the engine knows.
const (
	ropePlain  = "default"
	ropeLinear = "linear"
	ropeLlama3 = "llama3"
)

// RopeScaling stretches the rotary embedding beyond the positions that a
// model was trained on first.
type RopeScaling struct {
	// Type is "linear" or "llama3"; "default" and nothing mean no scaling.
	Type string `json:"rope_type,omitempty"`
	// OldType is what older checkpoints call Type.
	OldType string  `json:"type,omitempty"`
	Factor  float64 `json:"factor,omitempty"`
	// The rest is llama3's: frequencies that turn less than LowFreqFactor
	// times within OriginalMaxPositions are divided by Factor, those that
	// turn more than HighFreqFactor times stay, those between are blended.
	LowFreqFactor        float64 `json:"low_freq_factor,omitempty"`
	HighFreqFactor       float64 `json:"high_freq_factor,omitempty"`
	OriginalMaxPositions float64 `json:"original_max_position_embeddings,omitempty"`
}

// RopeParameters is where transformers 5 keeps what older versions spread
// over rope_theta and rope_scaling.
type RopeParameters struct {
	RopeScaling
	Theta float64 `json:"rope_theta,omitempty"`
}

// complete checks the scaling; none is nil.
func (s *RopeScaling) complete() (*RopeScaling, error) {
	if s == nil {
		return nil, nil
	}
	c := *s
	if c.Type == "" {
		c.Type = c.OldType
	}
	c.OldType = ""
	switch c.Type {
	case "", ropePlain:
		return nil, nil
	case ropeLinear, ropeLlama3:
	default:
		return nil, &UnknownArchitectureError{Have: fmt.Sprintf("rope_type %q", c.Type), Want: "default, linear and llama3"}
	}
	if !(c.Factor >= 1) {
		return nil, fmt.Errorf("rope_scaling: factor is %v, want at least 1", c.Factor)
	}
	if c.Type == ropeLlama3 && !(c.LowFreqFactor > 0 && c.HighFreqFactor > c.LowFreqFactor && c.OriginalMaxPositions > 0) {
		return nil, fmt.Errorf("rope_scaling: llama3 wants 0 < low_freq_factor < high_freq_factor and original_max_position_embeddings, has %v, %v and %v",
			c.LowFreqFactor, c.HighFreqFactor, c.OriginalMaxPositions)
	}
	return &c, nil
}

// scale is the frequency in place of a plain one, in radians per position.
// Source: transformers, modeling_rope_utils.py.
func (s *RopeScaling) scale(frequency float64) float64 {
	switch {
	case s == nil:
		return frequency
	case s.Type == ropeLinear:
		return frequency / s.Factor
	}
	turns := s.OriginalMaxPositions * frequency / (2 * math.Pi)
	keep := (turns - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	keep = min(max(keep, 0), 1)
	return keep*frequency + (1-keep)*frequency/s.Factor
}

// frequencies are those of the rotary embedding, in radians per position, for
// each pair of a head's numbers.
func (c Config) frequencies() []float64 {
	out := make([]float64, c.HeadDim/2)
	for j := range out {
		out[j] = c.RopeScaling.scale(math.Pow(c.RopeTheta, -2*float64(j)/float64(c.HeadDim)))
	}
	return out
}
