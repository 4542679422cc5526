package chattemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// Tokens are texts by names such as bos_token.
type Tokens map[string]string

// standard are the names of special tokens that every tokenizer may have.
var standard = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// readObject reads a file that holds a JSON object; nil without the file.
func readObject(dir, name string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, name)
	raw, err := regularfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

// readTokens collects the special tokens. Once the key added_tokens_decoder
// came up, special_tokens_map.json was no longer what is read.
func readTokens(dir string, config map[string]json.RawMessage) (Tokens, error) {
	out := Tokens{}
	if err := out.add(config, "tokenizer_config.json"); err != nil {
		return nil, err
	}
	if _, ok := config["added_tokens_decoder"]; ok {
		return out, nil
	}
	older, err := readObject(dir, "special_tokens_map.json")
	if err != nil {
		return nil, err
	}
	return out, out.add(older, "special_tokens_map.json")
}

// add takes the tokens of a file: the standard ones, others whose names end
// with _token, and those of extra_special_tokens where it has names.
func (t Tokens) add(object map[string]json.RawMessage, file string) error {
	for name, raw := range object {
		if !strings.HasSuffix(name, "_token") {
			continue
		}
		text, ok := tokenText(raw)
		switch {
		case ok && (text != "" || !slices.Contains(standard, name)):
			t[name] = text
		case !ok && slices.Contains(standard, name):
			return fmt.Errorf("read %s: key %s: a text, or an object with its content, is expected instead of %s", file, name, shortened(raw))
		}
	}
	var extra map[string]json.RawMessage
	if json.Unmarshal(object["extra_special_tokens"], &extra) != nil {
		return nil // a list has no names, and nothing has none either
	}
	for name, raw := range extra {
		if text, ok := tokenText(raw); ok {
			t[name] = text
		}
	}
	return nil
}

func shortened(raw []byte) string {
	const most = 60
	if len(raw) > most {
		return strings.ToValidUTF8(string(raw[:most]), "") + "…"
	}
	return string(raw)
}

// tokenText reads a text, or an object with its content; null is empty. It is
// false for anything else, such as the booleans of add_bos_token.
func tokenText(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var object struct {
		Content *string `json:"content"`
	}
	if json.Unmarshal(raw, &object) != nil || object.Content == nil {
		return "", false
	}
	return *object.Content, true
}
