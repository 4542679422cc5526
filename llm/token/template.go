package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// ErrNoTemplate says that a checkpoint has no chat template.
var ErrNoTemplate = errors.New("the checkpoint has no chat template, in chat_template.jinja or tokenizer_config.json")

// Message is one turn of a conversation.
type Message struct {
	Role    string // "system", "user" or "assistant"
	Content string
}

// chatTemplate is the Jinja template of a checkpoint and the tokens that it
// may name.
type chatTemplate struct {
	jinja  *exec.Template
	tokens map[string]any
}

// openTemplate reads the chat template of a folder; nil without one.
func openTemplate(dir string, s settingsFile) (*chatTemplate, error) {
	source, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja"))
	if errors.Is(err, fs.ErrNotExist) {
		source, err = namedTemplate(s.ChatTemplate)
	}
	if err != nil {
		return nil, fmt.Errorf("read chat template: %w", err)
	}
	if len(source) == 0 {
		return nil, nil
	}
	t := &chatTemplate{tokens: map[string]any{}}
	for name, text := range map[string]tokenText{"bos_token": s.BOS, "eos_token": s.EOS, "pad_token": s.PAD, "unk_token": s.UNK} {
		if text != "" {
			t.tokens[name] = string(text)
		}
	}
	if t.jinja, err = parse([]byte(dialect(string(source)))); err != nil {
		return nil, fmt.Errorf("parse chat template: %w", err)
	}
	return t, nil
}

// namedTemplate reads the key chat_template: a text, or a list of named ones,
// of which "default" counts, or else the only one.
func namedTemplate(raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return []byte(text), nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, fmt.Errorf("key chat_template: %w", err)
	}
	for _, n := range named {
		if n.Name == "default" || len(named) == 1 {
			return []byte(n.Template), nil
		}
	}
	return nil, nil
}

// parse compiles a template.
func parse(source []byte) (*exec.Template, error) {
	loader, err := loaders.NewFileSystemLoader("")
	if err != nil {
		return nil, err
	}
	const name = "/chat_template"
	shifted, err := loaders.NewShiftedLoader(name, bytes.NewReader(source), loader)
	if err != nil {
		return nil, err
	}
	structures := exec.NewControlStructureSet(map[string]parser.ControlStructureParser{"generation": parseGeneration})
	filters := exec.NewFilterSet(map[string]exec.FilterFunction{})
	filters.Update(builtins.Filters)
	if err := filters.Replace("tojson", toJSON); err != nil {
		return nil, err
	}
	return exec.NewTemplate(name, config.New(), shifted, &exec.Environment{
		Context:           exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables),
		Filters:           filters,
		Tests:             builtins.Tests,
		ControlStructures: structures.Update(builtins.ControlStructures),
		Methods:           builtins.Methods,
	})
}

// generation is the block {% generation %}, which marks an answer for masks
// and renders its content as it is.
type generation struct{ *nodes.Wrapper }

func parseGeneration(p, _ *parser.Parser) (nodes.ControlStructure, error) {
	content, _, err := p.WrapUntil("endgeneration")
	return generation{content}, err
}

// Execute renders the content.
func (g generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteWrapper(g.Wrapper)
}

// Render writes a conversation as the model was taught to read it, by its
// chat template, with what comes before an answer at the end if
// addGenerationPrompt says so. Without a template the error is ErrNoTemplate.
func (t *Tokenizer) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	if t.chat == nil {
		return "", fmt.Errorf("render conversation with %s: %w", t.dir, ErrNoTemplate)
	}
	row, err := t.chat.render(messages, addGenerationPrompt)
	if err != nil {
		return "", fmt.Errorf("render conversation with the chat template of %s: %w", t.dir, err)
	}
	return row, nil
}

func (c *chatTemplate) render(messages []Message, prompt bool) (string, error) {
	turns := make([]any, len(messages))
	for i, m := range messages {
		turns[i] = map[string]any{"role": m.Role, "content": m.Content}
	}
	var raised error // the library words an error of a function as its own
	data := map[string]any{
		"messages":              turns,
		"add_generation_prompt": prompt,
		"raise_exception": func(_ *exec.Evaluator, args *exec.VarArgs) (string, error) {
			raised = errors.New("the template refuses the conversation")
			if len(args.Args) > 0 {
				raised = errors.New(args.First().String())
			}
			return "", raised
		},
	}
	for name, text := range c.tokens {
		data[name] = text
	}
	out, err := c.jinja.ExecuteToString(exec.NewContext(data))
	if raised != nil {
		return "", raised
	}
	return out, err
}
