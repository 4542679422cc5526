package token_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// reference is what testdata/reference.py made with the libraries that the
// formats belong to.
const reference = "testdata/reference"

func read[T any](t *testing.T, path string) T {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// folder is a checkpoint's folder with the given files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, dir string) *token.Tokenizer {
	t.Helper()
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestIDsAreThoseOfTheLibrary: the same ids, and the same text of them, as the
// library "tokenizers" has.
func TestIDsAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	type example struct {
		Text           *string // nil: the ids are not those of a text
		IDs            []int32
		Decoded, Plain string
	}
	for _, kind := range []string{"gpt2", "qwen2", "llama3", "digits", "llama2", "mistral", "gemma", "metaspace", "never", "unigram-t5", "unigram-xlmr", "unigram-llama", "unigram-nfkc", "unigram-nfd"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(reference, kind)
			tok := open(t, dir)
			cases := read[[]example](t, filepath.Join(dir, "cases.json"))
			if len(cases) < 220 {
				t.Fatalf("%d cases", len(cases))
			}
			for _, c := range cases {
				if c.Text != nil {
					if got := tok.Encode(*c.Text); !slices.Equal(got, c.IDs) {
						t.Errorf("%q: ids %v, want %v", *c.Text, got, c.IDs)
					}
				}
				if text := tok.Decode(c.IDs, false); text != c.Decoded {
					t.Errorf("%v: decoded %q, want %q", c.IDs, text, c.Decoded)
				}
				if text := tok.Decode(c.IDs, true); text != c.Plain {
					t.Errorf("%v: decoded without special tokens %q, want %q", c.IDs, text, c.Plain)
				}
			}
		})
	}
}

// rendering is a conversation that a template renders or refuses.
type rendering struct {
	Template, Source, Talk string
	Messages               []struct{ Role, Content string }
	Prompt                 bool `json:"add_generation_prompt"`
	Rendered, Refused      string
}

// withTemplate opens a tokenizer with a chat template.
func withTemplate(t *testing.T, source string, asFile bool) *token.Tokenizer {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(reference, "gpt2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{"bos_token": map[string]any{"content": "<s>"}, "eos_token": "</s>", "chat_template": source}
	files := map[string]string{"tokenizer.json": string(body)}
	if asFile { // the newer way, which counts more
		files["chat_template.jinja"] = source
		settings["chat_template"] = "not this one"
	}
	config, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	files["tokenizer_config.json"] = string(config)
	return open(t, folder(t, files))
}

// TestTemplatesRenderAsInTransformers compares with Jinja itself.
func TestTemplatesRenderAsInTransformers(t *testing.T) {
	t.Parallel()
	cases := read[[]rendering](t, filepath.Join(reference, "templates.json"))
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	for i, c := range cases {
		tok := withTemplate(t, c.Source, i%2 == 0)
		var talk []token.Message
		for _, m := range c.Messages {
			talk = append(talk, token.Message{Role: m.Role, Content: m.Content})
		}
		got, err := tok.Render(talk, c.Prompt)
		if c.Refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.Refused) {
				t.Errorf("%s, %s: %q, %v; want the refusal %q", c.Template, c.Talk, got, err, c.Refused)
			}
			continue
		}
		if err != nil || got != c.Rendered {
			t.Errorf("%s, %s, prompt %t:\n%q\nwant\n%q (%v)", c.Template, c.Talk, c.Prompt, got, c.Rendered, err)
		}
	}
}
