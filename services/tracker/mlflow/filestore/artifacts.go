package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// artifacts implements mlflow.Artifacts.
type artifacts struct{ root root }

func (s artifacts) PutArtifact(ctx context.Context, runID string, a mlflow.Artifact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Without the lock of inRun: a large file would keep the other writers of the
	// run waiting.
	dir, err := s.root.runDir(runID)
	if err == nil {
		err = putFile(ctx, dir, a)
	}
	if err != nil {
		return fmt.Errorf("put artifact %s of run %s: %w", a.Path, runID, err)
	}
	return nil
}

// putFile stores a file below the folder of a run or a model.
func putFile(ctx context.Context, dir string, a mlflow.Artifact) error {
	path := filepath.Join(dir, "artifacts", filepath.FromSlash(normalize.Path(a.Path)))
	if a.Local != "" && link(a.Local, dir, path) == nil {
		return nil
	}
	content, err := mlflow.OpenContent(ctx, a)
	if err != nil {
		return err
	}
	err = replaceFile(dir, path, content)
	return errors.Join(err, content.Close())
}

// link gives a file a second name, by way of a temporary name in dir. It fails
// across file systems.
func link(from, dir, path string) error {
	if old, err := os.Stat(path); err == nil {
		if is, err := os.Stat(from); err == nil && os.SameFile(old, is) {
			return nil // a rename of one name over another of the same file does nothing
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Link(from, path, dir)
}

func (s artifacts) ListArtifacts(ctx context.Context, runID, dir string) ([]mlflow.ArtifactInfo, error) {
	var infos []mlflow.ArtifactInfo
	err := s.root.inRun(ctx, "list artifacts of", runID, func(run string) error {
		prefix := ""
		if dir != "" {
			prefix = normalize.Path(dir) + "/"
		}
		entries, err := os.ReadDir(filepath.Join(run, "artifacts", filepath.FromSlash(prefix)))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, entry := range entries {
			info := mlflow.ArtifactInfo{Path: prefix + entry.Name(), Dir: entry.IsDir()}
			if !info.Dir {
				stat, err := entry.Info()
				if err != nil {
					return err
				}
				info.Size = stat.Size()
			}
			infos = append(infos, info)
		}
		return nil
	})
	return infos, err
}
