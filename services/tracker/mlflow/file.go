package mlflow

import (
	"context"
	"crypto/md5" //nolint:gosec // MLflow's layout names inputs by MD5; nothing rests on its strength
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/services/tracker/atomicfile"
)

// file is a folder in MLflow's file layout. Every file in it is written beside
// its place and renamed, and a run's meta.yaml comes last, so readers see whole
// runs only. Nothing is synced: after a power cut the folder is written anew.
type file struct {
	root string // absolute
}

func newFile(u *url.URL) (*file, error) {
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return nil, fmt.Errorf("open file store %s: %w", u.Opaque, err)
		}
	}
	if path == "" || u.Host != "" && u.Host != "localhost" {
		return nil, errors.New("open file store: use file:./mlruns or file:///absolute/path")
	}
	root, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, fmt.Errorf("open file store %s: %w", path, err)
	}
	return &file{root: root}, nil
}

func (f *file) Experiment(ctx context.Context, name string) (id string, err error) {
	if err := errors.Join(ctx.Err(), checkExperiment(name)); err != nil {
		return "", err
	}
	unlock, err := lockFolder(ctx, f.root)
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	name = cut(name, maxExperiment)
	id, err = f.findExperiment(name)
	if id != "" || err != nil {
		return id, err
	}
	id = experimentID(name)
	dir := filepath.Join(f.root, id)
	now := time.Now().UnixMilli()
	meta := fields{
		{"artifact_location", quote(fileURL(dir))},
		{"creation_time", strconv.FormatInt(now, 10)},
		{"experiment_id", quote(id)},
		{"last_update_time", strconv.FormatInt(now, 10)},
		{"lifecycle_stage", "active"},
		{"name", quote(name)},
	}
	err = atomicfile.RemoveTemps(dir)
	if err == nil {
		err = replaceFile(dir, filepath.Join(dir, "meta.yaml"), strings.NewReader(meta.String()))
	}
	if err != nil {
		return "", fmt.Errorf("create experiment %q: %w", name, err)
	}
	return id, nil
}

// trash is where MLflow moves deleted experiments.
const trash = ".trash"

// findExperiment returns "" where no experiment has the name. It takes a
// deleted one out of the trash.
func (f *file) findExperiment(name string) (string, error) {
	id, err := experimentIn(f.root, name)
	if err == nil && id == "" {
		if id, err = experimentIn(filepath.Join(f.root, trash), name); id != "" {
			err = f.restoreExperiment(id)
		}
	}
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	return id, nil
}

func (f *file) restoreExperiment(id string) error {
	dir := filepath.Join(f.root, id)
	if err := os.Rename(filepath.Join(f.root, trash, id), dir); err != nil {
		return err
	}
	return setMeta(dir, map[string]string{"lifecycle_stage": "active"})
}

// experimentIn looks at all experiments in a folder, which may be missing.
func experimentIn(root, name string) (string, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		if _, err := strconv.ParseInt(entry.Name(), 10, 64); err != nil {
			continue
		}
		meta, err := os.ReadFile(filepath.Join(root, entry.Name(), "meta.yaml"))
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

// experimentID follows from the name, so that two writers agree. Only
// integers can be moved into a database; MLflow's own have 18 digits too.
func experimentID(name string) string {
	if name == "Default" {
		return "0"
	}
	sum := sha256.Sum256([]byte(name))
	const low = 100_000_000_000_000_000
	return strconv.FormatUint(low+binary.BigEndian.Uint64(sum[:8])%(9*low), 10)
}

// EnsureRun needs no search: the id follows from the key.
func (f *file) EnsureRun(ctx context.Context, experimentID string, key RunKey, r Run) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	exp := filepath.Join(f.root, filepath.Base(experimentID))
	if _, err := os.Stat(filepath.Join(exp, "meta.yaml")); err != nil {
		return "", fmt.Errorf("create run %q: experiment %s: %w", r.Name, experimentID, err)
	}
	sum := sha256.Sum256([]byte(experimentID + "\x00" + key.RunID + "\x00" + key.Phase))
	id = hex.EncodeToString(sum[:16])
	dir := filepath.Join(exp, id)
	unlock, err := lockFolder(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("create run %q: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	meta := filepath.Join(dir, "meta.yaml")
	if _, err := os.Stat(meta); err == nil {
		if err := setMeta(dir, map[string]string{"lifecycle_stage": "active", "deleted_time": "null"}); err != nil {
			return "", fmt.Errorf("restore run %q: %w", r.Name, err)
		}
		return id, nil
	}
	for _, sub := range []string{"artifacts", "metrics", "params", "tags"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return "", fmt.Errorf("create run %q: %w", r.Name, err)
		}
	}
	user := ""
	tags := startTags(key, r)
	for _, t := range tags {
		if t.Key == tagUser {
			user = t.Value
		}
		if err := writeKey(dir, "tags", t.Key, t.Value); err != nil {
			return "", fmt.Errorf("create run %q: %w", r.Name, err)
		}
	}
	text := fields{
		{"artifact_uri", quote(fileURL(filepath.Join(dir, "artifacts")))},
		{"deleted_time", "null"},
		{"end_time", "null"},
		{"entry_point_name", "''"},
		{"experiment_id", quote(experimentID)},
		{"lifecycle_stage", "active"},
		{"run_id", quote(id)},
		{"run_name", quote(runName(r.Name))},
		{"run_uuid", quote(id)},
		{"source_name", "''"},
		{"source_type", "4"},
		{"source_version", "''"},
		{"start_time", strconv.FormatInt(millis(r.StartTime), 10)},
		{"status", strconv.Itoa(Running.number())},
		{"tags", "[]"},
		{"user_id", quote(user)},
	}.String()
	failpoint.Here(failpoint.MLflowUnrecorded)
	if err := replaceFile(dir, meta, strings.NewReader(text)); err != nil {
		return "", fmt.Errorf("create run %q: %w", r.Name, err)
	}
	return id, nil
}

func (f *file) EndRun(ctx context.Context, runID string, status Status, end time.Time) error {
	if err := status.checkEnd(); err != nil {
		return fmt.Errorf("end run %s: %w", runID, err)
	}
	return f.inRun(ctx, "end", runID, func(dir string) error {
		if err := atomicfile.RemoveTemps(dir); err != nil {
			return err
		}
		return setMeta(dir, map[string]string{
			"status": strconv.Itoa(status.number()), "end_time": strconv.FormatInt(millis(end), 10),
		})
	})
}

func (f *file) RunURL(experimentID, runID string) string {
	return fileURL(filepath.Join(f.root, experimentID, runID))
}

// lockFolder makes a folder and waits for the caller's turn at it.
func lockFolder(ctx context.Context, dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return filelock.LockDir(ctx, dir)
}

// inRun calls do with the folder of a run, one call at a time.
func (f *file) inRun(ctx context.Context, op, runID string, do func(dir string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := f.runDir(runID)
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

// runDir finds a run in whichever experiment it is. An id that is not one
// never becomes part of a path.
func (f *file) runDir(runID string) (string, error) {
	if raw, err := hex.DecodeString(runID); err != nil || len(raw) != 16 {
		return "", ErrNoRun
	}
	entries, err := os.ReadDir(f.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		dir := filepath.Join(f.root, entry.Name(), runID)
		if _, err := os.Stat(filepath.Join(dir, "meta.yaml")); err == nil {
			return dir, nil
		}
	}
	return "", ErrNoRun
}

// fileURL writes an absolute path as MLflow does in its meta files.
func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// replaceFile writes path from r through a file in tmpDir, which MLflow never
// takes for content: it only looks at folders there.
func replaceFile(tmpDir, path string, r io.Reader) error {
	write := func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	}
	return atomicfile.Write(path, write, atomicfile.Options{TempDir: tmpDir, BeforeRename: failpoint.MLflowFile})
}
