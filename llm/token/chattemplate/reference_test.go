package chattemplate_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/jinja"
)

// golden is what testdata/templates.py made with transformers.
type golden struct {
	Conversations []conversation
	Renderings    map[string][]outcome // by template; each conversation without and with the generation prompt
	Checkpoints   []struct {
		Name, Template string
		Files          map[string]json.RawMessage
		Tools          json.RawMessage
		outcome
	}
}

type conversation struct {
	Name                       string
	Messages, Tools, Documents json.RawMessage
	Variables                  map[string]json.RawMessage
}

type outcome struct {
	Rendered, Error, Message string
	Generated                []string
}

// today is when the goldens were rendered.
var today = time.Date(2024, 3, 5, 9, 20, 0, 0, time.UTC)

func readGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/renderings.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// open opens templates from files.
func open(t testing.TB, files map[string]string) (*chattemplate.Templates, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return chattemplate.Open(dir)
}

// given is a value, or nil where JSON has none.
func given(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

func (c conversation) input(prompt bool) chattemplate.Conversation {
	in := chattemplate.Conversation{
		Messages: c.Messages, Tools: given(c.Tools), Documents: given(c.Documents),
		AddGenerationPrompt: prompt, Now: today, Variables: map[string]any{},
	}
	for name, v := range c.Variables {
		in.Variables[name] = v
	}
	return in
}

// check compares a rendering, or that there is none.
func (want outcome) check(t *testing.T, got chattemplate.Rendering, err error) {
	t.Helper()
	if want.Error != "" {
		if err == nil {
			t.Errorf("%q; transformers has %s %s", got.Text, want.Error, want.Message)
		} else if want.Message != "" && err.Error() != want.Message {
			t.Errorf("%v; want %s", err, want.Message)
		}
		return
	}
	if err != nil || got.Text != want.Rendered {
		t.Errorf("\n%q, %v; want\n%q", got.Text, err, want.Rendered)
	}
	var marked []string
	for _, span := range got.Generated {
		marked = append(marked, got.Text[span[0]:span[1]])
	}
	if !slices.Equal(marked, want.Generated) && len(want.Generated)+len(marked) > 0 {
		t.Errorf("marked as generated: %q, want %q", marked, want.Generated)
	}
}

// TestRendersAsTransformers: templates in the manner of the families in use
// come out as transformers renders them.
func TestRendersAsTransformers(t *testing.T) {
	t.Parallel()
	g := readGolden(t)
	if len(g.Renderings) < 25 || len(g.Conversations) < 15 {
		t.Fatalf("%d templates, %d conversations", len(g.Renderings), len(g.Conversations))
	}
	for name, want := range g.Renderings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(filepath.Join("testdata/templates", name+".jinja"))
			if err != nil {
				t.Fatal(err)
			}
			templates, err := open(t, map[string]string{
				"chat_template.jinja":   string(source),
				"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}`,
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range g.Conversations {
				for j, prompt := range []bool{false, true} {
					t.Run(c.Name, func(t *testing.T) {
						got, err := templates.Render(c.input(prompt))
						want[2*i+j].check(t, got, err)
					})
				}
			}
		})
	}
}

// TestCheckpointsAreReadAsInTransformers: which template counts, and which
// special tokens it sees.
func TestCheckpointsAreReadAsInTransformers(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Checkpoints {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for name, content := range c.Files {
				if json.Unmarshal(content, new(string)) == nil {
					var text string
					_ = json.Unmarshal(content, &text) // it went well above
					files[name] = text
					continue
				}
				files[name] = string(content)
			}
			templates, err := open(t, files)
			if err != nil {
				t.Fatal(err)
			}
			got, err := templates.Render(chattemplate.Conversation{
				Messages: json.RawMessage(`[{"role": "user", "content": "x"}]`), Tools: given(c.Tools), Template: c.Template,
			})
			c.check(t, got, err)
		})
	}
}

// TestFaultsNameWhatIsWrong: a person learns which template, line, variable or
// message it is.
func TestFaultsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	messages := json.RawMessage(`[{"role": "user", "content": "x"}]`)
	for name, c := range map[string]struct {
		template string
		in       chattemplate.Conversation
		want     []string
	}{
		"no such template": {"x", chattemplate.Conversation{Messages: messages, Template: "rag"}, []string{`"rag"`, "default"}},
		"no messages":      {"x", chattemplate.Conversation{Messages: json.RawMessage(`[]`)}, []string{"messages"}},
		"not a list":       {"x", chattemplate.Conversation{Messages: "hello"}, []string{"messages", "list"}},
		"not an object":    {"x", chattemplate.Conversation{Messages: []any{map[string]any{"role": "user"}, "hello"}}, []string{"number 2", "str"}},
		"tools of a text":  {"x", chattemplate.Conversation{Messages: messages, Tools: "hello"}, []string{"tools", "list"}},
		"reserved":         {"x", chattemplate.Conversation{Messages: messages, Variables: map[string]any{"tools": 1}}, []string{"variable tools"}},
		"both at once":     {"x", chattemplate.Conversation{Messages: "hello", Variables: map[string]any{"tools": 1}}, []string{"variable tools", "messages"}},
		"undefined":        {"a\n{{ messages[0].role.x.y }}", chattemplate.Conversation{Messages: messages}, []string{"line 2", "UndefinedError"}},
		"refused":          {"{{ raise_exception('no ' ~ messages[0].role) }}", chattemplate.Conversation{Messages: messages}, []string{"no user"}},
		"without an end": {
			"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
			chattemplate.Conversation{Messages: messages, Limits: jinja.Limits{Steps: 100_000}},
			[]string{"100000 steps", "line 1"},
		},
		"too long": {"{% for i in range(9) %}{{ 'x' * 50 }}{% endfor %}", chattemplate.Conversation{Messages: messages, Limits: jinja.Limits{Output: 300}}, []string{"300 bytes of output"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			templates, err := open(t, map[string]string{"chat_template.jinja": c.template})
			if err != nil {
				t.Fatal(err)
			}
			got, err := templates.Render(c.in)
			if err == nil {
				t.Fatalf("%q", got.Text)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v; want %s", err, want)
				}
			}
		})
	}
}

// TestFaultsOfFiles: a template that counts is refused when it is opened;
// others only when they are asked for.
func TestFaultsOfFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"default":  {map[string]string{"chat_template.jinja": "a\n{% include 'x' %}"}, `line 2: the block "include" is not supported`},
		"JSON":     {map[string]string{"tokenizer_config.json": "{"}, "tokenizer_config.json"},
		"template": {map[string]string{"tokenizer_config.json": `{"chat_template": 5}`}, "key chat_template"},
		"token":    {map[string]string{"tokenizer_config.json": `{"eos_token": [1]}`}, "key eos_token"},
		"map":      {map[string]string{"special_tokens_map.json": `[]`}, "special_tokens_map.json"},
	} {
		if _, err := open(t, c.files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
	templates, err := open(t, map[string]string{"chat_template.jinja": "x", chattemplate.Folder + "/tool_use.jinja": "{{ x | pprint }}"})
	if err != nil {
		t.Fatal(err)
	}
	in := chattemplate.Conversation{Messages: []any{map[string]any{"role": "user"}}}
	if got, err := templates.Render(in); err != nil || got.Text != "x" {
		t.Errorf("%q, %v", got.Text, err)
	}
	in.Tools = []any{}
	if _, err := templates.Render(in); err == nil || !strings.Contains(err.Error(), `"tool_use"`) || !strings.Contains(err.Error(), `"pprint"`) {
		t.Errorf("%v", err)
	}
	if _, err := (&chattemplate.Templates{}).Render(in); !errors.Is(err, chattemplate.ErrNone) {
		t.Errorf("%v", err)
	}
}
