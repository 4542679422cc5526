package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
)

// Config is a checkpoint's config.json, as far as the engine reads it.
type Config struct {
	Architectures     []string `json:"architectures"`
	ModelType         string   `json:"model_type"`
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	KVHeads           int      `json:"num_key_value_heads"`
	HeadDim           int      `json:"head_dim,omitempty"`
	MaxPositions      int      `json:"max_position_embeddings"`
	RMSNormEps        float64  `json:"rms_norm_eps"`
	RopeTheta         float64  `json:"rope_theta"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	AttentionBias     bool     `json:"attention_bias"`
	HiddenAct         string   `json:"hidden_act"`
	InitializerRange  float64  `json:"initializer_range,omitempty"`
	TorchDType        string   `json:"torch_dtype,omitempty"`
	BOSTokenID        any      `json:"bos_token_id,omitempty"`
	EOSTokenID        any      `json:"eos_token_id,omitempty"`
	PADTokenID        any      `json:"pad_token_id,omitempty"`
	// RopeScaling is nil where positions are not scaled.
	RopeScaling *RopeScaling `json:"rope_scaling,omitempty"`
	// RopeParameters is where transformers 5 puts rope_theta and the scaling.
	RopeParameters   *RopeParameters `json:"rope_parameters,omitempty"`
	UseSlidingWindow bool            `json:"use_sliding_window,omitempty"`
	MLPBias          bool            `json:"mlp_bias,omitempty"`
	// IsCausal is false in models whose tokens look at later ones.
	IsCausal *bool `json:"is_causal,omitempty"`
}

// maxLayers is far beyond the models in use.
const maxLayers = 4096

// The model types that the engine knows.
const (
	TypeLlama = "llama"
	TypeQwen2 = "qwen2"
	TypeQwen3 = "qwen3"
)

// UnknownArchitectureError says that a checkpoint is of a family that the
// engine does not know, or has a part that it does not have.
type UnknownArchitectureError struct{ Have, Want string }

func (e *UnknownArchitectureError) Error() string {
	return fmt.Sprintf("architecture %s is unknown to the built-in engine, which reads %s", e.Have, e.Want)
}

// Positions is for how many tokens a checkpoint was made (max_position_embeddings of
// its config.json); 0 if it does not say, or if the engine cannot read it.
func Positions(dir string) int {
	c, err := readConfig(dir)
	if err != nil {
		return 0
	}
	return max(c.MaxPositions, 0)
}

// readConfig reads and checks dir/config.json.
func readConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	body, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read checkpoint: %w", err)
	}
	var c Config
	if err := json.Unmarshal(body, &c); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, wrongType(err))
	}
	c, err = c.complete()
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// wrongType names the key of a value of the wrong type.
func wrongType(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok || wrong.Field == "" {
		return err
	}
	want := "another type"
	switch wrong.Type.Kind() {
	case reflect.Int:
		want = "a whole number"
	case reflect.Float64:
		want = "a number"
	case reflect.Bool:
		want = "true or false"
	case reflect.String:
		want = "a text"
	case reflect.Slice:
		want = "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		want = "an object"
	}
	return fmt.Errorf("%s is of the type %s; want %s", wrong.Field, wrong.Value, want)
}

// complete fills what Hugging Face leaves to its defaults and checks the
// rest.
func (c Config) complete() (Config, error) {
	if !slices.Contains([]string{TypeLlama, TypeQwen2, TypeQwen3}, c.ModelType) {
		return c, &UnknownArchitectureError{Have: fmt.Sprintf("%q", c.ModelType), Want: "llama, qwen2 and qwen3"}
	}
	if r := c.RopeParameters; r != nil {
		c.RopeScaling = &r.RopeScaling
		if r.Theta != 0 {
			c.RopeTheta = r.Theta
		}
		c.RopeParameters = nil // both generations of transformers read rope_theta
	}
	var err error
	if c.RopeScaling, err = c.RopeScaling.complete(); err != nil {
		return c, err
	}
	if c.UseSlidingWindow {
		return c, &UnknownArchitectureError{Have: "use_sliding_window", Want: "attention to all earlier positions"}
	}
	if c.IsCausal != nil && !*c.IsCausal {
		return c, &UnknownArchitectureError{Have: "is_causal = false", Want: "attention to earlier positions"}
	}
	if c.MLPBias {
		return c, &UnknownArchitectureError{Have: "mlp_bias", Want: "projections of the MLP without biases"}
	}
	if c.HiddenAct == "" {
		c.HiddenAct = "silu"
	}
	if c.HiddenAct != "silu" {
		return c, &UnknownArchitectureError{Have: "hidden_act " + c.HiddenAct, Want: "silu"}
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.ModelType == TypeQwen3 {
		c.HeadDim = 128 // transformers' default for this family alone
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.HiddenSize / c.Heads
	}
	if c.RopeTheta == 0 {
		c.RopeTheta = 10000
	}
	if c.RMSNormEps == 0 {
		c.RMSNormEps = 1e-6
	}
	if c.InitializerRange == 0 {
		c.InitializerRange = 0.02
	}
	for name, v := range map[string]int{
		"vocab_size": c.VocabSize, "hidden_size": c.HiddenSize, "intermediate_size": c.IntermediateSize,
		"num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
	} {
		if v <= 0 || v > 1<<24 {
			return c, fmt.Errorf("%s is %d", name, v)
		}
	}
	if c.Layers > maxLayers { // each one costs memory before a weight is read
		return c, fmt.Errorf("num_hidden_layers is %d, and the largest allowed is %d", c.Layers, maxLayers)
	}
	if c.Heads%c.KVHeads != 0 || c.HeadDim%2 != 0 {
		return c, errors.New("num_attention_heads must be a multiple of num_key_value_heads, and head_dim even")
	}
	return c, nil
}

// qkvBias reports whether the attention's inputs have biases.
func (c Config) qkvBias() bool { return c.ModelType == TypeQwen2 || c.AttentionBias }

// outBias reports whether the attention's output has a bias.
func (c Config) outBias() bool { return c.ModelType != TypeQwen2 && c.AttentionBias }

// qkNorm reports whether the heads of queries and keys are normalised.
func (c Config) qkNorm() bool { return c.ModelType == TypeQwen3 }
