package filestore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// values implements mlflow.Values. A run has a folder each for parameters,
// tags and metrics, with one file for each key.
type values struct{ root root }

func (s values) LogParams(ctx context.Context, runID string, params []mlflow.Param) error {
	params, conflicts := normalize.Params(params)
	err := s.root.inRun(ctx, "log parameters of", runID, func(dir string) error {
		if empty, err := isEmpty(filepath.Join(dir, "params")); err != nil || empty {
			return errors.Join(err, writeAllKeys(dir, "params", params))
		}
		for _, p := range params {
			old, err := os.ReadFile(keyPath(dir, "params", p.Key))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				if err := writeKey(dir, "params", p.Key, p.Value); err != nil {
					return err
				}
			case err != nil:
				return err
			case string(old) != p.Value:
				conflicts = append(conflicts, p.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return mlflow.NewParamConflict(runID, conflicts)
}

// writeAllKeys replaces an empty folder of keys by a full one. For the many
// parameters of a new run this costs a fraction of replacing file by file.
func writeAllKeys(dir, kind string, params []mlflow.Param) (err error) {
	tmp, err := os.MkdirTemp(dir, atomicfile.TempPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	full := filepath.Join(tmp, kind)
	if err := os.Mkdir(full, 0o755); err != nil {
		return err
	}
	for _, p := range params {
		path := keyPath(tmp, kind, p.Key)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(p.Value), 0o644); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	failpoint.Here(failpoint.MLflowFolder)
	return os.Rename(full, filepath.Join(dir, kind))
}

// isEmpty reports whether a folder has no entries or does not exist.
func isEmpty(dir string) (bool, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

func (s values) SetTags(ctx context.Context, runID string, tags []mlflow.Tag) error {
	return s.root.inRun(ctx, "tag", runID, func(dir string) error {
		for _, t := range normalize.Tags(tags) {
			if err := writeKey(dir, "tags", t.Key, t.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeKey(dir, kind, key, value string) error {
	return replaceFile(dir, keyPath(dir, kind, key), strings.NewReader(value))
}

// keyPath is the path of the file of a key; a slash in the key makes a folder.
// The layout cannot hold both "a" and "a/b": of these, the key that comes second
// gets underscores for its slashes, or an underscore at its end.
func keyPath(dir, kind, key string) string {
	path := filepath.Join(dir, kind, filepath.FromSlash(key))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return filepath.Join(dir, kind, strings.ReplaceAll(key, "/", "_"))
	case err == nil && info.IsDir():
		return path + "_"
	default:
		return path
	}
}
