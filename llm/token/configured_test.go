package token_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// TestTokensOfOtherFiles: tokens that tokenizer.json lacks and other files name get
// the next ids, as with transformers 5.24; ids that do not fit are refused.
func TestTokensOfOtherFiles(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	plain := open(t, filepath.Join(reference, "gpt2"))
	next := int32(plain.VocabSize())
	id, _ := json.Marshal(next) // of a number: never fails
	const text = "a <|zzz|> b<|end|>"
	for name, files := range map[string]map[string]string{
		"added_tokens.json":         {"added_tokens.json": `{"<|zzz|>": ` + string(id) + `}`},
		"added_tokens_decoder":      {"tokenizer_config.json": `{"added_tokens_decoder": {"` + string(id) + `": {"content": "<|zzz|>", "special": true}}}`},
		"additional_special_tokens": {"tokenizer_config.json": `{"additional_special_tokens": ["<|end|>", "<|zzz|>"]}`},
		"extra_special_tokens":      {"tokenizer_config.json": `{"extra_special_tokens": {"zzz_token": {"content": "<|zzz|>"}}}`},
		"bos_token":                 {"tokenizer_config.json": `{"bos_token": "<|zzz|>"}`},
	} {
		files["tokenizer.json"] = string(body)
		tok := open(t, folder(t, files))
		want := slices.Concat(plain.Encode("a "), []int32{next}, plain.Encode(" b<|end|>"))
		if got := tok.Encode(text); !slices.Equal(got, want) || tok.VocabSize() != int(next)+1 || tok.Decode(got, false) != text {
			t.Errorf("%s: ids %v, want %v", name, got, want)
		}
	}
	// A piece of the vocabulary that a configuration names is found as a whole.
	tok := open(t, folder(t, map[string]string{"tokenizer.json": string(body), "tokenizer_config.json": `{"eos_token": "er"}`}))
	if got := tok.Encode("xerx"); len(got) != 3 || tok.VocabSize() != int(next) || !slices.Equal(tok.EOS(), got[1:2]) {
		t.Errorf("a piece: ids %v", got)
	}
	for says, files := range map[string]map[string]string{
		"gives the token \"<|zzz|>\" the id 9999": {"added_tokens.json": `{"<|zzz|>": 9999}`},
		"the id 3, and tokenizer.json the id":     {"tokenizer_config.json": `{"added_tokens_decoder": {"3": {"content": "<|end|>"}}}`},
		"is no id":                                {"tokenizer_config.json": `{"added_tokens_decoder": {"x": {"content": "<|end|>"}}}`},
		"split_special_tokens":                    {"tokenizer_config.json": `{"split_special_tokens": true}`},
	} {
		files["tokenizer.json"] = string(body)
		if _, err := token.Open(folder(t, files)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

// TestWithoutATokenizerFile says what is there instead, and how to write one.
func TestWithoutATokenizerFile(t *testing.T) {
	t.Parallel()
	for says, files := range map[string]map[string]string{
		"tokenizer.json is missing; tokenizer.model is there": {"tokenizer.model": "x"},
		"tokenizer.json is missing; vocab.json is there":      {"vocab.json": "{}", "merges.txt": ""},
		"tokenizer.json is missing; every model":              {},
	} {
		if _, err := token.Open(folder(t, files)); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	_, err := token.Open(folder(t, map[string]string{"tokenizer.json": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}))
	if err == nil || !strings.Contains(err.Error(), "git lfs pull") {
		t.Errorf("%v", err)
	}
}
