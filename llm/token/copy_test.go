package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

const chatml = "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"

func talk(turns ...string) []token.Message {
	var out []token.Message
	for i, text := range turns {
		out = append(out, token.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return out
}

// TestEndsOfAnAnswer come from every file that names one, and from the
// template.
func TestEndsOfAnAnswer(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"tokenizer.json": string(body), "generation_config.json": `{"eos_token_id": [7, 3], "pad_token_id": 9}`, "config.json": `{"eos_token_id": 5}`,
		"tokenizer_config.json": `{"eos_token": {"content": "<|bot|>"}}`, "chat_template.jinja": chatml,
	}
	dir := folder(t, files)
	tok := open(t, dir)
	bot, end := tok.Encode("<|bot|>")[0], tok.Encode("<|end|>")[0]
	if got := tok.EOS(); !slices.Equal(got, []int32{3, 5, 7, bot, end}) || tok.PAD() != 9 || int(end) >= tok.VocabSize() {
		t.Errorf("ends %v, pads %d; <|bot|> is %d, <|end|> %d", got, tok.PAD(), bot, end)
	}
	to := t.TempDir()
	if err := token.CopyFiles(dir, to); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "config.json"), []byte(files["config.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := open(t, to).EOS(); !slices.Equal(got, tok.EOS()) {
		t.Errorf("a copy has the ends %v", got)
	}
}

// TestOtherTokenizersAreRefused, rather than read wrongly.
func TestOtherTokenizersAreRefused(t *testing.T) {
	t.Parallel()
	const level = `"pre_tokenizer":{"type":"ByteLevel"}`
	for name, body := range map[string]string{
		"Unigram":                `{"model":{"type":"Unigram"},` + level + `}`,
		"WordPiece":              `{"model":{"type":"WordPiece"},` + level + `}`,
		"not byte-level":         `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Digits"}}`,
		"a prefix space":         `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true}}`,
		"an unknown normalizer":  `{"model":{"type":"BPE"},"normalizer":{"type":"Lowercase"},` + level + `}`,
		"an unknown splitter":    `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Metaspace"}}`,
		"dropped merges":         `{"model":{"type":"BPE","dropout":0.1},` + level + `}`,
		"a prefix of pieces":     `{"model":{"type":"BPE","continuing_subword_prefix":"##"},` + level + `}`,
		"a suffix of words":      `{"model":{"type":"BPE","end_of_word_suffix":"</w>"},` + level + `}`,
		"an unknown end":         `{"model":{"type":"BPE","vocab":{"a":0}},"post_processor":{"type":"Reversal"},` + level + `}`,
		"a pattern unknown here": `{"model":{"type":"BPE"},"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?<=a)b"}}}`,
	} {
		if _, err := token.Open(folder(t, map[string]string{"tokenizer.json": body})); !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, body := range []string{`{` + level + `}`, `{"model":{"type":"BPE"},` + level + `}`, `{"model":{"type":"BPE","vocab":{},"merges":[]},` + level + `}`} {
		if _, err := token.Open(folder(t, map[string]string{"tokenizer.json": body})); err == nil || !strings.Contains(err.Error(), "has no vocabulary (model.vocab)") {
			t.Errorf("%s: %v", body, err) // all text would vanish
		}
	}
	tok := open(t, filepath.Join(reference, "gpt2"))
	if _, err := tok.Render(talk("q"), true); !errors.Is(err, token.ErrNoTemplate) {
		t.Errorf("without a template: %v", err)
	}
	if _, err := token.Open(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
