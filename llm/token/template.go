package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nikolalohinski/gonja/v2"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// Message is one turn of a conversation.
type Message struct{ Role, Content string }

// template is a checkpoint's chat template.
type template struct {
	jinja    *exec.Template
	bos, eos string
	question string // derived markers
	answer   string
}

// text is a token in tokenizer_config.json: a string, or an object with its
// content.
type text string

func (s *text) UnmarshalJSON(b []byte) error {
	var plain string
	if json.Unmarshal(b, &plain) == nil {
		*s = text(plain)
		return nil
	}
	var o struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	*s = text(o.Content)
	return nil
}

// ids are one id or several.
type ids []int32

func (s *ids) UnmarshalJSON(b []byte) error {
	var one int32
	if json.Unmarshal(b, &one) == nil {
		*s = ids{one}
		return nil
	}
	return json.Unmarshal(b, (*[]int32)(s))
}

// settings reads the special tokens and the chat template.
func (t *Tokenizer) settings(dir string) error {
	var c struct {
		BOS      text            `json:"bos_token"`
		EOS      text            `json:"eos_token"`
		PAD      text            `json:"pad_token"`
		Template json.RawMessage `json:"chat_template"`
	}
	if err := readJSON(filepath.Join(dir, "tokenizer_config.json"), &c); err != nil {
		return err
	}
	var g struct {
		EOS ids `json:"eos_token_id"`
	}
	if err := readJSON(filepath.Join(dir, "generation_config.json"), &g); err != nil {
		return err
	}
	t.eos = g.EOS
	for _, s := range t.special {
		if s.text == string(c.EOS) && !slices.Contains(t.eos, s.id) {
			t.eos = append(t.eos, s.id)
		}
		if s.text == string(c.PAD) {
			t.pad = s.id
		}
	}
	source := ""
	if b, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja")); err == nil {
		source = string(b)
	} else if len(c.Template) > 0 && json.Unmarshal(c.Template, &source) != nil {
		return fmt.Errorf("read %s: the chat template is not a text", dir)
	}
	if source == "" {
		return nil
	}
	jinja, err := gonja.FromString(source)
	if err != nil {
		return fmt.Errorf("chat template of %s: %w", dir, err)
	}
	t.template = &template{jinja: jinja, bos: string(c.BOS), eos: string(c.EOS)}
	t.template.derive()
	return nil
}

// readJSON reads a file that may be missing.
func readJSON(path string, into any) error {
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// ErrNoTemplate says that a checkpoint has no chat template.
var ErrNoTemplate = errors.New("the checkpoint has no chat template, in tokenizer_config.json or chat_template.jinja")

// Render writes a conversation as the model was taught to read it. The
// generation prompt is what comes before an answer.
func (t *Tokenizer) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	if t.template == nil {
		return "", ErrNoTemplate
	}
	return t.template.render(messages, addGenerationPrompt)
}

func (t *template) render(messages []Message, prompt bool) (string, error) {
	list := make([]map[string]any, len(messages))
	for i, m := range messages {
		list[i] = map[string]any{"role": m.Role, "content": m.Content}
	}
	var raised error
	out, err := t.jinja.ExecuteToString(exec.NewContext(map[string]any{
		"messages": list, "add_generation_prompt": prompt, "bos_token": t.bos, "eos_token": t.eos,
		"raise_exception": func(msg string) string {
			raised = errors.New(msg)
			return ""
		},
	}))
	if err = errors.Join(err, raised); err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out, nil
}
