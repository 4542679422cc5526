package chattemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/llm/token/jinja"
)

// ErrNone says that a checkpoint has no chat template.
var ErrNone = errors.New("the checkpoint has no chat template, in chat_template.jinja or tokenizer_config.json")

// The names of templates that count without being asked for.
const (
	defaultName = "default"
	toolsName   = "tool_use"
)

// Folder is where checkpoints have their further templates.
const Folder = "additional_chat_templates"

// Templates are the chat templates of a checkpoint and its special tokens.
type Templates struct {
	tokens Tokens
	named  map[string]*named
	opened time.Time
}

// named is one of the templates. Its fault, if it has one, is told once it is
// asked for, since the others may serve.
type named struct {
	template *jinja.Template
	fault    error
}

// Open reads what is in a checkpoint's folder, which may be nothing. The error
// names the template that counts without being asked for if it cannot be read.
func Open(dir string) (*Templates, error) {
	t := &Templates{named: map[string]*named{}, opened: time.Now()}
	config, err := readObject(dir, "tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	if t.tokens, err = readTokens(dir, config); err != nil {
		return nil, err
	}
	sources, err := readFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		if sources, err = keyed(config["chat_template"]); err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "tokenizer_config.json"), err)
		}
	}
	for name, source := range sources {
		if source == "" {
			continue
		}
		n := &named{}
		if n.template, n.fault = jinja.New(source); n.fault != nil {
			n.fault = fmt.Errorf("parse chat template %q: %w", name, n.fault)
		}
		t.named[name] = n
	}
	if n := t.named[defaultName]; n != nil && n.fault != nil {
		return nil, n.fault
	}
	return t, nil
}

// readFiles reads the templates that are files.
func readFiles(dir string) (map[string]string, error) {
	out := map[string]string{}
	read := func(name, path string) error {
		source, err := regularfile.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read chat template: %w", err)
		}
		out[name] = string(source)
		return nil
	}
	if err := read(defaultName, filepath.Join(dir, "chat_template.jinja")); err != nil {
		return nil, err
	}
	more, err := fs.Glob(os.DirFS(filepath.Join(dir, Folder)), "*.jinja")
	if err != nil {
		return nil, fmt.Errorf("read chat templates: %w", err)
	}
	for _, name := range more {
		if err := read(strings.TrimSuffix(name, ".jinja"), filepath.Join(dir, Folder, name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keyed reads the key chat_template: a text, or a list of named ones.
func keyed(raw json.RawMessage) (map[string]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return map[string]string{defaultName: text}, nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("key chat_template: %w", err)
	}
	out := map[string]string{}
	for _, n := range list {
		out[n.Name] = n.Template
	}
	return out, nil
}

// Any reports whether there is a template.
func (t *Templates) Any() bool { return len(t.named) > 0 }

// Names lists the templates.
func (t *Templates) Names() []string { return slices.Sorted(maps.Keys(t.named)) }

// Tokens are the special tokens by their names, such as eos_token.
func (t *Templates) Tokens() Tokens { return t.tokens }

// choose finds the template of a conversation.
func (t *Templates) choose(name string, tools bool) (*jinja.Template, error) {
	if !t.Any() {
		return nil, ErrNone
	}
	if name == "" {
		name = defaultName
		if tools && t.named[toolsName] != nil {
			name = toolsName
		}
	}
	n := t.named[name]
	if n == nil {
		return nil, fmt.Errorf("the checkpoint has no chat template %q; it has %s", name, strings.Join(t.Names(), ", "))
	}
	return n.template, n.fault
}

// Reads reports whether the template that renders conversations of this kind
// reads a variable, such as tools or enable_thinking.
func (t *Templates) Reads(variable string, tools bool) bool {
	template, err := t.choose("", tools)
	return err == nil && template.Reads(variable)
}
