package token_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// TestEndInTheMapOfSpecialTokens: an eos_token that stands in
// special_tokens_map.json alone ends answers, and templates see it. Copied
// files make the same tokenizer, with its further templates.
func TestEndInTheMapOfSpecialTokens(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	from := folder(t, map[string]string{
		"tokenizer.json":          string(body),
		"tokenizer_config.json":   `{"chat_template": "not this one"}`,
		"special_tokens_map.json": `{"eos_token": {"content": "<|end|>"}, "pad_token": "<|user|>"}`,
		"chat_template.jinja":     "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
	})
	if err := os.Mkdir(filepath.Join(from, chattemplate.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, chattemplate.Folder, "tool_use.jinja"), []byte("{{ tools | tojson }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := token.CopyFiles(from, to); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{from, to} {
		tok := open(t, dir)
		if want := tok.Encode("<|end|>"); !slices.Equal(tok.EOS(), want) {
			t.Errorf("%v end an answer, want %v", tok.EOS(), want)
		}
		if want := tok.Encode("<|user|>"); tok.PAD() != want[0] {
			t.Errorf("%d pads, want %d", tok.PAD(), want[0])
		}
		if got, err := tok.Render([]token.Message{{Role: "user", Content: "a"}}, true); err != nil || got != "a<|end|>" {
			t.Errorf("%q, %v", got, err)
		}
		got, err := tok.RenderConversation(chattemplate.Conversation{
			Messages: []token.Message{{Role: "user", Content: "a"}}, Tools: json.RawMessage(`[{"z": 1, "a": 2}]`),
		})
		if err != nil || got.Text != `[{"z": 1, "a": 2}]` {
			t.Errorf("%q, %v", got.Text, err)
		}
	}
}
