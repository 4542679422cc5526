package token_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBegin: a text begins as tokenizer.json says, whatever kind of post-processor
// says it, and once.
func TestBegin(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	user := open(t, filepath.Join(reference, "gpt2")).Encode("<|user|>")[0]
	id, err := json.Marshal(user)
	if err != nil {
		t.Fatal(err)
	}
	template := `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|user|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|user|>","type_id":0}}],
		"special_tokens":{"<|user|>":{"id":"<|user|>","ids":[` + string(id) + `],"tokens":["<|user|>"]}}}`
	for post, want := range map[string]string{
		`null`:                 "Hi",
		`{"type":"ByteLevel"}`: "Hi",
		template:               "<|user|>Hi",
		`{"type":"Sequence","processors":[{"type":"ByteLevel"},` + template + `]}`: "<|user|>Hi",
		`{"type":"RobertaProcessing","cls":["<|user|>",` + string(id) + `]}`:       "<|user|>Hi",
	} {
		file["post_processor"] = json.RawMessage(post)
		changed, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		tok := open(t, folder(t, map[string]string{"tokenizer.json": string(changed)}))
		if got := tok.Begin("Hi"); got != want || tok.Begin(got) != want {
			t.Errorf("%s: %q, then %q", post, got, tok.Begin(got))
		}
		if strings.HasPrefix(want, "<") && tok.Encode(tok.Begin("Hi"))[0] != user {
			t.Errorf("%s: ids %v", post, tok.Encode(tok.Begin("Hi")))
		}
	}
}
