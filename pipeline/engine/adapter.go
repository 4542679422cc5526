package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BaseSuffix is put behind a key that names an adapter's folder: under the
// result a submitter uploads the base model of that adapter.
const BaseSuffix = ".base"

// FetchModel returns the folder of the model that the key names, as [Job.Model]
// does. If that folder holds an adapter, it is returned as adapter, and base is
// the folder of the model that adapter_config.json names.
func FetchModel(ctx context.Context, j *Job, key, id string) (base, adapter string, err error) {
	dir, err := j.Model(ctx, key, id)
	if err != nil {
		return "", "", err
	}
	name, err := AdapterBase(dir)
	switch {
	case err != nil:
		return "", "", Permanent("bad_model", fmt.Errorf("%s = %q: %w", key, id, err))
	case name == "":
		return dir, "", nil
	}
	if base, err = j.Model(ctx, key+BaseSuffix, name); err != nil {
		return "", "", fmt.Errorf("the base model of the adapter that %s = %q names: %w", key, id, err)
	}
	return base, dir, nil
}

// AdapterBase returns the name of the base model of an adapter: an id of the
// Hub, or a folder. It is empty for a folder that holds no adapter alone.
func AdapterBase(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return "", nil
	}
	body, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var c struct {
		Base string `json:"base_model_name_or_path"`
	}
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err == nil && c.Base == "" {
		err = errors.New("names no base model; write it into base_model_name_or_path")
	}
	if err != nil {
		return "", fmt.Errorf("adapter_config.json: %w", err)
	}
	return c.Base, nil
}
