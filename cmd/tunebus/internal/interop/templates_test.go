//go:build interop

package interop

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// rendered is a conversation as transformers renders it.
type rendered struct {
	Family       string            `json:"family"`
	Template     string            `json:"template"`
	Conversation json.RawMessage   `json:"conversation"`
	Tools        json.RawMessage   `json:"tools"`
	Prompt       bool              `json:"prompt"`
	Tokens       map[string]string `json:"tokens"`
	Text         *string           `json:"text"`
	Error        string            `json:"error"`
}

// TestPublishedTemplates renders the chat templates that installed packages
// ship as transformers does, and prints a table family × equal.
func TestPublishedTemplates(t *testing.T) {
	var all []rendered
	python(t, "templates.py", nil, &all)
	type count struct{ equal, of, refused int }
	table := map[string]count{}
	for _, r := range all {
		dir := t.TempDir()
		tokens, err := json.Marshal(r.Tokens)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), tokens, 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(r.Template), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		c := table[r.Family]
		c.of++
		if r.Text == nil {
			c.refused++
		}
		templates, err := chattemplate.Open(dir)
		var got chattemplate.Rendering
		if err == nil {
			conversation := chattemplate.Conversation{Messages: r.Conversation, AddGenerationPrompt: r.Prompt}
			if string(r.Tools) != "null" {
				conversation.Tools = r.Tools
			}
			got, err = templates.Render(conversation)
		}
		switch {
		case r.Text == nil && err != nil, r.Text != nil && err == nil && got.Text == *r.Text:
			c.equal++
		case r.Text == nil:
			t.Errorf("%s: transformers refuses %s (%s), here it is %q", r.Family, r.Conversation, r.Error, got.Text)
		default:
			t.Errorf("%s: %s\n got %q, %v\nwant %q", r.Family, r.Conversation, got.Text, err, *r.Text)
		}
		table[r.Family] = c
	}
	if len(table) == 0 {
		t.Fatal("the installed packages ship no chat template, so the comparison says nothing")
	}
	for _, family := range slices.Sorted(maps.Keys(table)) {
		c := table[family]
		t.Logf("%-36s %3d of %3d equal, %d of them refused by both", family, c.equal, c.of, c.refused)
	}
}
