package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// registryFolder is where the layout keeps registered models.
const registryFolder = "models"

// Register implements [mlflow.Models].
func (s models) Register(ctx context.Context, r mlflow.Registration) (version string, err error) {
	version, err = s.register(ctx, r)
	if err != nil {
		return "", fmt.Errorf("register model %s as %q: %w", r.ModelID, r.Name, err)
	}
	return version, nil
}

func (s models) register(ctx context.Context, r mlflow.Registration) (version string, err error) {
	model, err := s.root.modelDir(r.ModelID)
	if err != nil {
		return "", err
	}
	if err := spec.CheckModelName(r.Name); err != nil {
		return "", err
	}
	dir := filepath.Join(string(s.root), registryFolder, r.Name)
	unlock, err := makeAndLock(ctx, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	at := strconv.FormatInt(normalize.Millis(r.At), 10)
	registered := fields{
		{"creation_timestamp", at}, {"description", "null"}, {"last_updated_timestamp", at}, {"name", quote(r.Name)},
	}
	if err := createOnce(dir, filepath.Join(dir, "meta.yaml"), registered); err != nil {
		return "", err
	}
	number, known, err := findVersion(dir, r.ModelID)
	if err != nil {
		return "", err
	}
	version = strconv.Itoa(number)
	if !known {
		if err := createVersion(dir, model, version, at, r); err != nil {
			return "", err
		}
	}
	return version, setAlias(dir, r.Alias, version)
}

// findVersion finds the version of a model. Without one it returns the next
// number.
func findVersion(dir, modelID string) (number int, known bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, false, err
	}
	newest := 0
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "version-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		newest = max(newest, n)
		meta, err := os.ReadFile(filepath.Join(dir, e.Name(), "meta.yaml"))
		if err == nil && scalar(string(meta), "model_id") == modelID {
			return n, true, nil
		}
	}
	return newest + 1, false, nil
}

func createVersion(dir, model, version, at string, r mlflow.Registration) error {
	folder := filepath.Join(dir, "version-"+version)
	for _, t := range r.Tags {
		if err := writeKey(folder, "tags", normalize.Name(t.Key), t.Value); err != nil {
			return err
		}
	}
	meta := fields{
		{"creation_timestamp", at},
		{"current_stage", "None"},
		{"description", "null"},
		{"last_updated_timestamp", at},
		{"model_id", quote(r.ModelID)},
		{"name", quote(r.Name)},
		{"run_id", quote(r.RunID)},
		{"run_link", "null"},
		{"source", quote("models:/" + r.ModelID)},
		{"status", "READY"},
		{"status_message", "null"},
		{"storage_location", quote(fileURL(filepath.Join(model, "artifacts")))},
		{"user_id", "null"},
		{"version", version},
	}
	return replaceFile(dir, filepath.Join(folder, "meta.yaml"), strings.NewReader(meta.String()))
}

// setAlias moves an alias forward to a version, never back.
func setAlias(dir, alias, version string) error {
	path := filepath.Join(dir, "aliases", filepath.Base(alias))
	if old, err := os.ReadFile(path); err == nil && !mlflow.IsNewer(version, strings.TrimSpace(string(old))) {
		return nil
	}
	return replaceFile(dir, path, strings.NewReader(version))
}
