package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func (f *file) PutArtifact(ctx context.Context, runID string, a Artifact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Not inRun: a large file would keep all other runs waiting.
	dir, err := f.runDir(runID)
	if err == nil {
		err = putFile(ctx, dir, a)
	}
	if err != nil {
		return fmt.Errorf("put artifact %s of run %s: %w", a.Path, runID, err)
	}
	return nil
}

func putFile(ctx context.Context, dir string, a Artifact) error {
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	counted := &countingReader{ctx: ctx, r: body, size: a.Size}
	err = replaceFile(dir, filepath.Join(dir, "artifacts", filepath.FromSlash(CleanPath(a.Path))), counted)
	return errors.Join(err, body.Close())
}

func (f *file) ListArtifacts(ctx context.Context, runID, dir string) ([]ArtifactInfo, error) {
	var infos []ArtifactInfo
	err := f.inRun(ctx, "list artifacts of", runID, func(run string) error {
		prefix := ""
		if dir != "" {
			prefix = CleanPath(dir) + "/"
		}
		entries, err := os.ReadDir(filepath.Join(run, "artifacts", filepath.FromSlash(prefix)))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, entry := range entries {
			info := ArtifactInfo{Path: prefix + entry.Name(), Dir: entry.IsDir()}
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
