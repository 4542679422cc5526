package llm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/peft"
)

// seeing are the model types of models that see and whose text part is of a family that
// the engine knows, and what the family of that part is called.
func seeing() map[string]string { return map[string]string{"gemma3": "gemma3_text"} }

// textPart is the configuration of the text part of a model that sees, as a model of
// its own has it.
func textPart(body []byte, c Config) (Config, error) {
	var whole struct {
		Text json.RawMessage `json:"text_config"`
		BOS  any             `json:"bos_token_id"`
		EOS  any             `json:"eos_token_id"`
		PAD  any             `json:"pad_token_id"`
		Tie  *bool           `json:"tie_word_embeddings"`
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		return c, err
	}
	c.BOSTokenID, c.EOSTokenID, c.PADTokenID = whole.BOS, whole.EOS, whole.PAD
	if len(whole.Text) > 0 {
		var err error
		if c, err = c.with(whole.Text); err != nil {
			return c, fmt.Errorf("text_config: %w", wrongType(err))
		}
	}
	c.TieWordEmbeddings = whole.Tie == nil || *whole.Tie // of the two that there are, transformers reads this one
	c.Architectures, c.sees = nil, true
	return c, nil
}

// Where the text part of a model that sees is: in the model of transformers, and in files
// as older versions wrote them.
const (
	partPrefix    = "model.language_model."
	oldPartPrefix = "language_model.model."
	oldHeadPrefix = "language_model."
)

// PartName is how the text part of a model that sees calls a weight or a module, as a
// model of its own does. Any other name stays as it is.
func PartName(name string) string {
	if rest, ok := strings.CutPrefix(name, partPrefix); ok {
		return "model." + rest
	}
	if rest, ok := strings.CutPrefix(name, oldPartPrefix); ok {
		return "model." + rest
	}
	if rest, ok := strings.CutPrefix(name, oldHeadPrefix+"lm_head."); ok {
		return "lm_head." + rest
	}
	return name
}

// wholeName is how transformers calls a weight or a module of this model: in one that
// sees it has another place.
func (c Config) wholeName(name string) string {
	if rest, ok := strings.CutPrefix(name, "model."); ok && c.sees {
		return partPrefix + rest
	}
	return name
}

// looks reports whether a weight or a module is one of those with which a model sees.
func (c Config) looks(name string) bool {
	name = strings.TrimPrefix(name, "model.")
	return c.sees && slices.ContainsFunc([]string{visionPart, "multi_modal_projector"}, func(part string) bool { return strings.HasPrefix(name, part+".") })
}

const visionPart = "vision_tower"

// besideVision is an adapter on the text part, described so that PEFT puts it on no
// module of the vision part, of which some have the same names.
func besideVision(c peft.Config) peft.Config {
	const vision = `.*` + visionPart + `.*`
	var all []string
	switch p := c.Exclude.Pattern; {
	case strings.HasSuffix(p, vision):
		return c
	case p != "":
		all = append(all, "(?:"+p+")")
	}
	for _, name := range c.Exclude.Names {
		all = append(all, `(?:.*\.)?`+regexp.QuoteMeta(name))
	}
	c.Exclude = peft.Targets{Pattern: strings.Join(append(all, vision), "|")}
	return c
}
