package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/regularfile"
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
	BOSTokenID        any      `json:"bos_token_id"`
	EOSTokenID        any      `json:"eos_token_id"`
	PADTokenID        any      `json:"pad_token_id"`
	// RopeScaling is nil where positions are not scaled.
	RopeScaling *RopeScaling `json:"rope_scaling,omitempty"`
	// RopeParameters is where transformers 5 puts rope_theta and the scaling.
	RopeParameters *RopeParameters `json:"rope_parameters,omitempty"`
	MLPBias        bool            `json:"mlp_bias,omitempty"`
	// Some layers see the last SlidingWindow positions alone, see family.
	SlidingWindow    *int     `json:"sliding_window"`
	UseSlidingWindow bool     `json:"use_sliding_window"`
	MaxWindowLayers  int      `json:"max_window_layers"`
	LayerTypes       []string `json:"layer_types,omitempty"`
	// NoRopeLayers has a 0 for each layer whose heads do not turn.
	NoRopeLayers   []int `json:"no_rope_layers,omitempty"`
	NoRopeInterval int   `json:"no_rope_layer_interval,omitempty"`
	// PartialRotary is the share of a head that turns; 0: all of it.
	PartialRotary float64 `json:"partial_rotary_factor,omitempty"`
	// OriginalMaxPositions is for how many a model was made before it was stretched.
	OriginalMaxPositions float64 `json:"original_max_position_embeddings,omitempty"`
	// What follows is Gemma's and Granite's.
	HiddenActivation    string   `json:"hidden_activation,omitempty"`
	QueryScalar         float64  `json:"query_pre_attn_scalar"`
	ScoreCap            *float64 `json:"attn_logit_softcapping"`
	LogitCap            *float64 `json:"final_logit_softcapping"`
	RopeLocalTheta      float64  `json:"rope_local_base_freq"`
	SlidingPattern      int      `json:"sliding_window_pattern,omitempty"`
	Bidirectional       bool     `json:"use_bidirectional_attention,omitempty"`
	EmbeddingMultiplier float64  `json:"embedding_multiplier"`
	AttentionMultiplier float64  `json:"attention_multiplier"`
	ResidualMultiplier  float64  `json:"residual_multiplier"`
	LogitsScaling       float64  `json:"logits_scaling"`
	// IsCausal is false in models whose tokens look at later ones.
	IsCausal *bool `json:"is_causal,omitempty"`

	// sees says that the model is the text part of one that sees.
	sees bool
}

// geluTanh is the tanh form of GELU.
const geluTanh = "gelu_pytorch_tanh"

// maxLayers is far beyond the models in use.
const maxLayers = 4096

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
	return c.Positions()
}

// Positions is for how many tokens the model was made; 0 if it does not say. A model
// that was stretched by longrope is read as before it was.
func (c Config) Positions() int {
	if c.RopeScaling != nil && c.RopeScaling.Type == ropeLong {
		return min(c.MaxPositions, int(c.RopeScaling.OriginalMaxPositions))
	}
	return max(c.MaxPositions, 0)
}

// readConfig reads and checks dir/config.json.
func readConfig(dir string) (Config, error) {
	body, err := readConfigFile(dir)
	if err != nil {
		return Config{}, err
	}
	return parseConfig(filepath.Join(dir, "config.json"), body)
}

// readConfigFile is dir/config.json as it is.
func readConfigFile(dir string) ([]byte, error) {
	body, err := regularfile.Read(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkGGUF(dir); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return body, nil
}

// parseConfig checks the config.json that lies at path.
func parseConfig(path string, body []byte) (Config, error) {
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		return Config{}, fmt.Errorf("read %s: it begins with a byte order mark (EF BB BF), which JSON does not have; save it as UTF-8 without one", path)
	}
	var named struct {
		ModelType string `json:"model_type"`
	}
	err := json.Unmarshal(body, &named)
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, wrongType(err))
	}
	of, sees := seeing()[named.ModelType]
	c := withUsual(families()[cmp.Or(of, named.ModelType)].defaults)
	if sees {
		c.ModelType = of
		c, err = textPart(body, c)
	} else {
		c, err = c.with(body)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, wrongType(err))
	}
	if err := errors.Join(checkWritten(body, c), checkHead(body)); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	c, err = c.complete()
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// with takes what config.json says in the place of the family's defaults.
func (c Config) with(body []byte) (Config, error) {
	if err := json.Unmarshal(body, &c); err != nil {
		return c, err
	}
	var written struct {
		KVHeads json.RawMessage `json:"num_key_value_heads"`
	}
	if err := json.Unmarshal(body, &written); err != nil {
		return c, err
	}
	if string(written.KVHeads) == "null" { // as many as there are heads; without the key it is the default
		c.KVHeads = 0
	}
	return c, nil
}

// withRopeParameters takes what transformers 5 keeps in rope_parameters. Where there is a
// rope_scaling too, transformers takes that alone, and Gemma 3 what is of kinds of layers.
func (c Config) withRopeParameters() Config {
	r := c.RopeParameters
	c.RopeParameters = nil // both generations of transformers read rope_theta
	scaled, kinds := c.RopeScaling != nil && !reflect.ValueOf(*c.RopeScaling).IsZero(), c.family().has(localTheta)
	if r == nil || scaled && !kinds {
		return c
	}
	if r.Sliding != nil && r.Sliding.Theta != nil {
		c.RopeLocalTheta = *r.Sliding.Theta
	}
	if r.Full != nil {
		r = r.Full
	} else if kinds {
		return c
	}
	if r.Partial != 0 {
		c.PartialRotary = r.Partial
	}
	if !scaled {
		c.RopeScaling = &r.RopeScaling
	}
	if r.Theta != nil {
		c.RopeTheta = *r.Theta
	}
	return c
}

// withoutForeign is the configuration without what its family does not read.
func (c Config) withoutForeign() Config {
	foreign, fields := c.family().foreign(), reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		key, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
		if slices.Contains(foreign, key) {
			fields.Field(i).SetZero()
		}
	}
	return c
}

// wrongType names the key of a value of the wrong type.
func wrongType(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	if wrong.Field == "" {
		return fmt.Errorf("it is of the type %s; want an object", wrong.Value)
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
	if _, ok := families()[c.ModelType]; !ok {
		return c, &UnknownArchitectureError{Have: fmt.Sprintf("%q", c.ModelType), Want: knownFamilies()}
	}
	c = c.withRopeParameters()
	c = c.withoutForeign()
	if err := checkNumbers(c); err != nil {
		return c, err
	}
	var err error
	if c.RopeScaling, err = c.RopeScaling.complete(c); err != nil {
		return c, err
	}
	if err := checkLayers(c); err != nil {
		return c, err
	}
	if c.SlidingPattern != 0 && len(c.LayerTypes) == 0 { // which says as much
		for l := range min(c.Layers, maxLayers) {
			c.LayerTypes = append(c.LayerTypes, map[bool]string{true: slidingLayer, false: fullLayer}[(l+1)%c.SlidingPattern != 0])
		}
	}
	if c.Bidirectional {
		return c, &UnknownArchitectureError{Have: "use_bidirectional_attention", Want: "attention to earlier positions"}
	}
	if c.IsCausal != nil && !*c.IsCausal {
		return c, &UnknownArchitectureError{Have: "is_causal = false", Want: "attention to earlier positions"}
	}
	if c.MLPBias {
		return c, &UnknownArchitectureError{Have: "mlp_bias", Want: "projections of the MLP without biases"}
	}
	c.HiddenAct = cmp.Or(c.HiddenActivation, c.HiddenAct, "silu") // the former is what Gemma reads
	if c.HiddenAct != "silu" && c.HiddenAct != geluTanh {
		return c, &UnknownArchitectureError{Have: "hidden_act " + c.HiddenAct, Want: "silu and " + geluTanh}
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.family().defaults.HeadDim
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.HiddenSize / c.Heads
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
	if c.Heads%c.KVHeads != 0 {
		return c, fmt.Errorf("num_attention_heads is %d; want a multiple of num_key_value_heads, which is %d", c.Heads, c.KVHeads)
	}
	if c.HeadDim%2 != 0 {
		return c, fmt.Errorf("head_dim is %d; want an even number", c.HeadDim)
	}
	if n := c.turning(c.HeadDim); n < 2 || n > c.HeadDim || n%2 != 0 {
		return c, fmt.Errorf("partial_rotary_factor is %v, so that %d of the %d numbers of a head turn; want an even number of them", c.PartialRotary, n, c.HeadDim)
	}
	return c, nil
}
