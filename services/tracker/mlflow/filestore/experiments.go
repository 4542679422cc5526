package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// trash is the folder into which MLflow moves deleted experiments.
const trash = ".trash"

func (s runs) EnsureExperiment(ctx context.Context, name string) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if name, err = normalize.ExperimentName(name); err != nil {
		return "", err
	}
	unlock, err := makeAndLock(ctx, string(s.root))
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	id, err = s.findExperiment(name)
	if id != "" || err != nil {
		return id, err
	}
	return s.createExperiment(name)
}

func (s runs) createExperiment(name string) (string, error) {
	id := experimentID(name)
	dir := filepath.Join(string(s.root), id)
	now := time.Now().UnixMilli()
	meta := fields{
		{"artifact_location", quote(fileURL(dir))},
		{"creation_time", strconv.FormatInt(now, 10)},
		{"experiment_id", quote(id)},
		{"last_update_time", strconv.FormatInt(now, 10)},
		{"lifecycle_stage", "active"},
		{"name", quote(name)},
	}
	err := atomicfile.RemoveTemps(dir)
	if err == nil {
		err = replaceFile(dir, filepath.Join(dir, "meta.yaml"), strings.NewReader(meta.String()))
	}
	if err != nil {
		return "", fmt.Errorf("create experiment %q: %w", name, err)
	}
	return id, nil
}

// findExperiment returns "" if no experiment has the name. It takes a deleted
// one out of the trash.
func (s runs) findExperiment(name string) (string, error) {
	id, err := experimentIn(string(s.root), name)
	if err == nil && id == "" {
		if id, err = experimentIn(filepath.Join(string(s.root), trash), name); id != "" {
			err = s.restoreExperiment(id)
		}
	}
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	return id, nil
}

func (s runs) restoreExperiment(id string) error {
	dir := filepath.Join(string(s.root), id)
	if err := os.Rename(filepath.Join(string(s.root), trash, id), dir); err != nil {
		return err
	}
	return setMeta(dir, map[string]string{"lifecycle_stage": "active"})
}

// experimentIn searches the experiments in a folder, which may be missing.
func experimentIn(dir, name string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		if _, err := strconv.ParseInt(entry.Name(), 10, 64); err != nil {
			continue
		}
		meta, err := os.ReadFile(filepath.Join(dir, entry.Name(), "meta.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if scalar(string(meta), "name") == name {
			return entry.Name(), nil
		}
	}
	return "", nil
}

// experimentID follows from the name, so that two writers agree. Only integers
// can be moved into a database; MLflow's own ids have 18 digits, too.
func experimentID(name string) string {
	if name == "Default" {
		return "0"
	}
	sum := sha256.Sum256([]byte(name))
	const low = 100_000_000_000_000_000
	return strconv.FormatUint(low+binary.BigEndian.Uint64(sum[:8])%(9*low), 10)
}
