package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// models implements mlflow.Models.
type models struct{ root root }

// The states of a model in the layout.
const (
	modelPending = "1"
	modelReady   = "2"
)

// EnsureModel needs no search: the id follows from the run and the name.
func (s models) EnsureModel(ctx context.Context, experimentID, runID string, m mlflow.LoggedModel) (id string, finished bool, err error) {
	sum := sha256.Sum256([]byte(runID + "\x00" + m.Name))
	id = "m-" + hex.EncodeToString(sum[:16])
	err = s.root.inRun(ctx, "create model of", runID, func(run string) error {
		dir := filepath.Join(filepath.Dir(run), "models", id)
		if meta, err := os.ReadFile(filepath.Join(dir, "meta.yaml")); err == nil {
			finished = scalar(string(meta), "status") == modelReady
		} else if err := createModel(dir, experimentID, runID, id, m); err != nil {
			return err
		}
		output := fields{
			{"destination_id", quote(id)},
			{"destination_type", "MODEL_OUTPUT"},
			{"source_id", quote(id)},
			{"source_type", "RUN_OUTPUT"},
			{"step", "0"},
			{"tags", "{}"},
		}
		return createOnce(run, filepath.Join(run, "outputs", id, "meta.yaml"), output)
	})
	return id, finished, err
}

// createModel writes the files of a new model into its folder, meta.yaml last.
func createModel(dir, experimentID, runID, id string, m mlflow.LoggedModel) error {
	for _, sub := range []string{"artifacts", "metrics", "params", "tags"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for _, t := range m.Tags {
		if err := writeKey(dir, "tags", normalize.Name(t.Key), t.Value); err != nil {
			return err
		}
	}
	at := strconv.FormatInt(normalize.Millis(m.At), 10)
	meta := fields{
		{"artifact_location", quote(fileURL(filepath.Join(dir, "artifacts")))},
		{"creation_timestamp", at},
		{"experiment_id", quote(experimentID)},
		{"last_updated_timestamp", at},
		{"lifecycle_stage", "active"},
		{"model_id", quote(id)},
		{"model_type", "null"},
		{"name", quote(m.Name)},
		{"source_run_id", quote(runID)},
		{"status", modelPending},
		{"status_message", "null"},
	}
	return replaceFile(dir, filepath.Join(dir, "meta.yaml"), strings.NewReader(meta.String()))
}

// errNoModel means that a logged model does not exist.
var errNoModel = errors.New("no such model")

// modelDir finds the folder of a model, in any experiment. Only a valid id
// becomes part of a path.
func (r root) modelDir(id string) (string, error) {
	digits, ok := strings.CutPrefix(id, "m-")
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != 16 {
		return "", errNoModel
	}
	found, err := fileglob.In(string(r), "*/models/"+id+"/meta.yaml")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errNoModel, err)
	}
	return filepath.Dir(found[0]), nil
}

func (s models) PutModelFile(ctx context.Context, modelID string, a mlflow.Artifact) error {
	dir, err := s.root.modelDir(modelID)
	if err == nil {
		err = putFile(ctx, dir, a)
	}
	if err != nil {
		return fmt.Errorf("put file %s of model %s: %w", a.Path, modelID, err)
	}
	return nil
}

// FindModel implements [mlflow.Models].
func (s models) FindModel(ctx context.Context, experimentID string, tag mlflow.Tag, name string) (id, runID string, err error) {
	found, err := fileglob.In(filepath.Join(string(s.root), experimentID), "models/m-*/meta.yaml")
	if err != nil {
		return "", "", err
	}
	for _, path := range found {
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		meta, err := os.ReadFile(path)
		dir := filepath.Dir(path)
		value, tagErr := os.ReadFile(keyPath(dir, "tags", normalize.Name(tag.Key)))
		if err != nil || tagErr != nil || string(value) != tag.Value {
			continue // removed meanwhile, or another one
		}
		text := string(meta)
		if scalar(text, "name") == name && scalar(text, "status") == modelReady {
			return filepath.Base(dir), scalar(text, "source_run_id"), nil
		}
	}
	return "", "", nil
}

// ShowsModels implements [mlflow.Models]. Both folders have the same files: large ones
// are hard links.
func (s models) ShowsModels() bool { return false }

func (s models) FinishModel(ctx context.Context, modelID string) error {
	dir, err := s.root.modelDir(modelID)
	if err == nil {
		var unlock func() error
		if unlock, err = filelock.LockDir(ctx, dir); err == nil {
			err = errors.Join(setMeta(dir, map[string]string{"status": modelReady}), unlock())
		}
	}
	if err != nil {
		return fmt.Errorf("finish model %s: %w", modelID, err)
	}
	return nil
}
