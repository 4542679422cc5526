package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// CopyFiles copies what belongs to a tokenizer from one checkpoint's folder to
// another. Files that are not there are passed over.
func CopyFiles(from, to string) error {
	names := []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja"}
	further, err := os.ReadDir(filepath.Join(from, chattemplate.Folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy tokenizer: %w", err)
	}
	for _, f := range further {
		if filepath.Ext(f.Name()) == ".jinja" && f.Type().IsRegular() {
			names = append(names, filepath.Join(chattemplate.Folder, f.Name()))
		}
	}
	for _, name := range names {
		body, err := regularfile.Read(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), body, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy tokenizer: %w", err)
		}
	}
	return nil
}
