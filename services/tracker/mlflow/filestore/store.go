package filestore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Target is a folder in MLflow's file layout. It implements mlflow.Target with a
// type for each part of that interface; the types share the root folder and
// nothing else.
type Target struct {
	mlflow.Runs
	mlflow.Values
	mlflow.Artifacts
	mlflow.Models
}

// Open returns the target at an address such as file:./mlruns or
// file:///absolute/path. It writes nothing.
func Open(address *url.URL) (*Target, error) {
	path := address.Path
	if address.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(address.Opaque); err != nil {
			return nil, fmt.Errorf("open file store %s: %w", address.Opaque, err)
		}
	}
	if path == "" || address.Host != "" && address.Host != "localhost" {
		return nil, errors.New("open file store: use file:./mlruns or file:///absolute/path")
	}
	dir, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, fmt.Errorf("open file store %s: %w", path, err)
	}
	return &Target{Runs: runs{root(dir)}, Values: values{root(dir)}, Artifacts: artifacts{root(dir)}, Models: models{root(dir)}}, nil
}

// root is the absolute path of the top folder, which holds one folder for each
// experiment with one folder for each run.
type root string

// runDir finds the folder of a run, in any experiment. Only a valid run id
// becomes part of a path.
func (r root) runDir(runID string) (string, error) {
	if raw, err := hex.DecodeString(runID); err != nil || len(raw) != 16 {
		return "", mlflow.ErrNoRun
	}
	experiments, err := os.ReadDir(string(r))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range experiments {
		dir := filepath.Join(string(r), e.Name(), runID)
		if _, err := os.Stat(filepath.Join(dir, "meta.yaml")); err == nil {
			return dir, nil
		}
	}
	return "", mlflow.ErrNoRun
}

// inRun calls do with the folder of a run while it is locked. op names the
// call in errors.
func (r root) inRun(ctx context.Context, op, runID string, do func(dir string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := r.runDir(runID)
	if err == nil {
		var unlock func() error
		if unlock, err = filelock.LockDir(ctx, dir); err == nil {
			err = errors.Join(do(dir), unlock())
		}
	}
	if err != nil {
		return fmt.Errorf("%s run %s: %w", op, runID, err)
	}
	return nil
}

// makeAndLock makes a folder if it is missing, and locks it.
func makeAndLock(ctx context.Context, dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return filelock.LockDir(ctx, dir)
}

// fileURL spells an absolute path as MLflow does in its meta files.
func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

// replaceFile writes path from r. The temporary file is in runDir, because
// MLflow takes any file in the folders below for content; in runDir it looks
// at folders only.
func replaceFile(runDir, path string, r io.Reader) error {
	write := func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	}
	if err := atomicfile.Write(path, write, atomicfile.Options{TempDir: runDir, BeforeRename: failpoint.MLflowFile}); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
