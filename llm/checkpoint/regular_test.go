//go:build unix

package checkpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
)

// TestNoRegularFile: a folder or a named pipe in the place of a file of a model or of an
// adapter is an error that says so. Whoever opens a pipe waits for a writer.
func TestNoRegularFile(t *testing.T) {
	t.Parallel()
	makers := map[string]func(path string) error{
		"it is a folder; want a file":             func(path string) error { return os.Mkdir(path, 0o700) },
		"it is a named pipe; want a regular file": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
	put := func(dir, name string, replace func(path string) error) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.RemoveAll(path), replace(path)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check := func(path, says string, err error) {
		if err == nil || !strings.Contains(err.Error(), path+": "+says) {
			t.Errorf("got %v, want %q", err, path+": "+says)
		}
	}
	for says, replace := range makers {
		for _, name := range []string{
			"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "chat_template.jinja",
		} {
			dir := folder(t)
			path := put(dir, name, replace)
			_, err := checkpoint.Check(dir, dir)
			check(path, says, err)
		}
		dir := folder(t)
		move(t, dir, "elsewhere")
		path := put(dir, llm.IndexFile, replace)
		_, err := checkpoint.Check(dir, dir)
		check(path, says, err)

		base := folder(t)
		report, err := checkpoint.Check(base, base)
		if err != nil {
			t.Fatal(err)
		}
		dir = t.TempDir()
		path = put(dir, "adapter_config.json", replace)
		check(path, says, llm.InspectAdapter(dir, report.Config))
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "adapter_config.json", `{"peft_type": "LORA", "target_modules": ["q_proj"]}`)
		path = put(dir, "adapter_model.safetensors", replace)
		check(path, says, llm.InspectAdapter(dir, report.Config))
	}
}
