package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// maxCard bounds a model card in which paths are replaced.
const maxCard = 1 << 20

// Finish checks the folder of a result, and makes it one that every tool finds
// its base model and its tokenizer with.
func Finish(said, folder string, base inputs.Base) error {
	if said != folder {
		return errors.New("it lies in another folder than output.model")
	}
	if err := OnlyFiles(folder); err != nil {
		return err
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	}
	switch {
	case isWhole(folder):
	case has("adapter_config.json") && has("adapter_model.safetensors"):
		if err := nameBase(filepath.Join(folder, "adapter_config.json"), base.Name); err != nil {
			return err
		}
	default:
		return errors.New("it has neither adapter_config.json with adapter_model.safetensors nor config.json with weights as *.safetensors")
	}
	if err := replacePath(filepath.Join(folder, "README.md"), base); err != nil {
		return err
	}
	if has("tokenizer.json") {
		return nil
	}
	return token.CopyFiles(base.Tokens, folder)
}

// OnlyFiles returns an error if a folder is not there, or holds something else than
// files and folders.
func OnlyFiles(folder string) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("there is no folder output.model")
		}
		if err != nil || d.IsDir() || d.Type().IsRegular() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		return fmt.Errorf("%s is neither a file nor a folder", filepath.ToSlash(name))
	})
}

// nameBase writes the name of the base model into the configuration of an adapter.
func nameBase(path, name string) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(body, &config); err != nil {
		return fmt.Errorf("adapter_config.json: %w", err)
	}
	if config["base_model_name_or_path"], err = json.Marshal(name); err != nil {
		return err
	}
	if body, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o600)
}

// replacePath writes the name of the base model into a model card, in place of the path
// that it has here.
func replacePath(card string, base inputs.Base) error {
	info, err := os.Stat(card)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > maxCard {
		return nil
	}
	body, err := os.ReadFile(card)
	if err != nil {
		return err
	}
	return os.WriteFile(card, bytes.ReplaceAll(body, []byte(base.Weights), []byte(base.Name)), 0o600)
}
