package token

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// configured is what is read of tokenizer_config.json about tokens that
// tokenizer.json may lack.
type configured struct {
	Decoder       map[string]addedToken `json:"added_tokens_decoder"`
	Additional    []tokenName           `json:"additional_special_tokens"`
	Extra         tokenNames            `json:"extra_special_tokens"`
	BOS           tokenName             `json:"bos_token"`
	EOS           tokenName             `json:"eos_token"`
	SplitSpecials bool                  `json:"split_special_tokens"`
}

// tokenName is a text, or an object with its content. Anything else names no token.
type tokenName string

// UnmarshalJSON reads either form.
func (n *tokenName) UnmarshalJSON(raw []byte) error {
	var object addedToken
	if json.Unmarshal(raw, (*string)(n)) != nil && json.Unmarshal(raw, &object) == nil {
		*n = tokenName(object.Content)
	}
	return nil
}

// tokenNames are a list of names, or an object whose values are names.
type tokenNames []tokenName

// UnmarshalJSON reads either form.
func (n *tokenNames) UnmarshalJSON(raw []byte) error {
	var named map[string]tokenName
	if json.Unmarshal(raw, &named) == nil {
		for _, key := range slices.Sorted(maps.Keys(named)) {
			*n = append(*n, named[key])
		}
		return nil
	}
	return json.Unmarshal(raw, (*[]tokenName)(n))
}

// addConfigured adds the tokens that other files than tokenizer.json name, as
// transformers does: those that are new get the next ids.
func addConfigured(t *Tokenizer, dir string) error {
	var c configured
	if err := readJSON(dir, "tokenizer_config.json", false, &c); err != nil {
		return err
	}
	if c.SplitSpecials {
		return fmt.Errorf("split_special_tokens = true in tokenizer_config.json: %w", ErrUnsupported)
	}
	file := "tokenizer_config.json"
	var withID []addedToken
	for id, a := range c.Decoder {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return fmt.Errorf("added_tokens_decoder in tokenizer_config.json: %q is no id", id)
		}
		a.ID = int32(n)
		withID = append(withID, a)
	}
	if c.Decoder == nil {
		file = "added_tokens.json"
		var older map[string]int32
		if err := readJSON(dir, file, false, &older); err != nil {
			return err
		}
		for text, id := range older {
			withID = append(withID, addedToken{ID: id, Content: text})
		}
	}
	slices.SortFunc(withID, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	for _, a := range withID {
		if id, known := idOf(t, a.Content); known || a.Content == "" {
			if known && id != a.ID {
				return fmt.Errorf("%s gives the token %q the id %d, and tokenizer.json the id %d; take both files of one model", file, a.Content, a.ID, id)
			}
			addSpecial(t, a)
			continue
		}
		if next := int32(len(t.text)); a.ID != next {
			return fmt.Errorf("%s gives the token %q the id %d, and tokenizer.json, which does not have it, ends before the id %d; take both files of one model",
				file, a.Content, a.ID, next)
		}
		addSpecial(t, a)
	}
	for _, name := range slices.Concat(c.Additional, c.Extra, []tokenName{c.BOS, c.EOS}) {
		id, known := idOf(t, string(name))
		if !known {
			id = int32(len(t.text))
		}
		addSpecial(t, addedToken{ID: id, Content: string(name), Special: true})
	}
	return nil
}

// addSpecial adds a token that is found in the text before anything else, unless it is
// one. A new one has the next id.
func addSpecial(t *Tokenizer, a addedToken) {
	if a.Content == "" || slices.ContainsFunc(t.added, func(b addedToken) bool { return b.Content == a.Content }) {
		return
	}
	if int(a.ID) == len(t.text) {
		t.text, t.special, t.bytes = append(t.text, a.Content), append(t.special, a.Special), append(t.bytes, false)
	}
	t.special[a.ID] = a.Special
	t.added = append(t.added, a)
	t.first[a.Content[0]] = true
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
}
