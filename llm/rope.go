package llm

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tunebus/tunebus/llm/internal/rotary"
)

// The rotary embeddings that the engine knows.
const (
	ropePlain  = "default"
	ropeLinear = "linear"
	ropeLlama3 = "llama3"
	ropeLong   = "longrope"
)

// RopeScaling stretches the rotary embedding beyond the positions that a
// model was trained on first.
type RopeScaling struct {
	// Type is "linear", "llama3" or "longrope"; "default" and nothing mean no
	// scaling.
	Type string `json:"rope_type,omitempty"`
	// OldType is what older checkpoints call Type.
	OldType string  `json:"type,omitempty"`
	Factor  float64 `json:"factor,omitempty"`
	// Short are longrope's divisors of the frequencies, for positions below
	// OriginalMaxPositions. Those for later ones are not used.
	Short []float64 `json:"short_factor,omitempty"`
	Long  []float64 `json:"long_factor,omitempty"`
	// AttentionFactor multiplies what turns; 0: longrope's own rule.
	AttentionFactor float64 `json:"attention_factor,omitempty"`
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
	Theta   *float64 `json:"rope_theta,omitempty"`
	Partial float64  `json:"partial_rotary_factor,omitempty"`
	// Full and Sliding are those of two kinds of layers, in place of the rest.
	Full    *RopeParameters `json:"full_attention,omitempty"`
	Sliding *RopeParameters `json:"sliding_attention,omitempty"`
}

// complete checks the scaling of a model; none is nil.
func (s *RopeScaling) complete(of Config) (*RopeScaling, error) {
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
	case ropeLong, "su": // its first name
		return c.completeLong(of)
	default:
		return nil, &UnknownArchitectureError{Have: fmt.Sprintf("rope_type %q", c.Type), Want: "default, linear, llama3 and longrope"}
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

// scale is the frequency of a pair in place of a plain one, in radians per position.
// Source: transformers, modeling_rope_utils.py.
func (s *RopeScaling) scale(pair int, frequency float64) float64 {
	switch {
	case s == nil:
		return frequency
	case s.Type == ropeLinear:
		return frequency / s.Factor
	case s.Type == ropeLong:
		return frequency / s.Short[pair]
	}
	turns := s.OriginalMaxPositions * frequency / (2 * math.Pi)
	keep := (turns - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	keep = min(max(keep, 0), 1)
	return keep*frequency + (1-keep)*frequency/s.Factor
}

// completeLong checks a scaling by longrope (Ding et al. 2024), which older
// config.json spread over two places.
func (s RopeScaling) completeLong(of Config) (*RopeScaling, error) {
	s.Type = ropeLong
	s.OriginalMaxPositions = cmp.Or(of.OriginalMaxPositions, s.OriginalMaxPositions) // the former is what transformers takes of the two
	if !(s.OriginalMaxPositions > 1) {
		return nil, fmt.Errorf("rope_scaling: longrope wants original_max_position_embeddings, has %v", s.OriginalMaxPositions)
	}
	head := of.HeadDim
	if head == 0 && of.Heads > 0 {
		head = of.HiddenSize / of.Heads
	}
	if pairs := of.turning(head) / 2; len(s.Short) != pairs {
		return nil, fmt.Errorf("rope_scaling: short_factor has %d numbers, and half of what turns of a head has %d", len(s.Short), pairs)
	}
	for i, f := range s.Short {
		if !(f > 0) {
			return nil, fmt.Errorf("rope_scaling: number %d of short_factor is %v, want more than 0", i+1, f)
		}
	}
	return &s, nil
}

// attention is what longrope multiplies what turns by. Source: transformers,
// modeling_rope_utils.py.
func (s RopeScaling) attention(positions int) float64 {
	if s.AttentionFactor != 0 {
		return s.AttentionFactor
	}
	factor := s.Factor
	if factor == 0 {
		factor = float64(positions) / s.OriginalMaxPositions
	}
	if factor <= 1 {
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(s.OriginalMaxPositions))
}

// turning is how many numbers of a head turn.
func (c Config) turning(head int) int {
	if c.PartialRotary == 0 {
		return head
	}
	return int(float64(head) * c.PartialRotary)
}

// rotaries are the rotary embeddings of the model: that of all layers, and where
// there is one that of the layers with a window.
func (c Config) rotaries() []rotary.Embedding {
	out := []rotary.Embedding{{Frequencies: c.frequencies(c.RopeTheta, c.RopeScaling)}}
	if s := c.RopeScaling; s != nil && s.Type == ropeLong {
		out[0].Scale = s.attention(c.MaxPositions)
	}
	if c.RopeLocalTheta != 0 {
		out = append(out, rotary.Embedding{Frequencies: c.frequencies(c.RopeLocalTheta, nil)})
	}
	return out
}

// frequencies are those of a rotary embedding, in radians per position, for each
// pair of a head's numbers that turns.
func (c Config) frequencies(theta float64, scaling *RopeScaling) []float64 {
	n := c.turning(c.HeadDim)
	out := make([]float64, n/2)
	for j := range out {
		out[j] = scaling.scale(j, math.Pow(theta, -2*float64(j)/float64(n)))
	}
	return out
}
