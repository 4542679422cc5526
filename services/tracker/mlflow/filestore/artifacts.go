package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

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

func putFile(ctx context.Context, dir string, a mlflow.Artifact) error {
	content, err := mlflow.OpenContent(ctx, a)
	if err != nil {
		return err
	}
	err = replaceFile(dir, filepath.Join(dir, "artifacts", filepath.FromSlash(normalize.Path(a.Path))), content)
	return errors.Join(err, content.Close())
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
